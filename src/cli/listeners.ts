/** The listeners of `mindglue serve` over an application: MCP and REST on one port, the sidecar on its own. */
import type { App } from '../app.ts'
import { resourceOf } from '../auth/open-tokens.ts'
import { AppError } from '../errors.ts'
import { accountRoutes } from '../http/account-routes.ts'
import type { OpenRoute } from '../http/entrance.ts'
import { createListener, type Listener } from '../http/listener.ts'
import { createOwnNamespaces } from '../http/own-namespaces.ts'
import { protectedResourceOf } from '../http/protected-resource.ts'
import { createRest } from '../http/rest.ts'
import { createProductEndpoint } from '../mcp/endpoint.ts'
import type { McpHost } from '../mcp/host.ts'
import { createSidecar } from '../sidecar/listener.ts'
import { print } from './output.ts'

export interface Listeners {
  /** Not ready from now on. */
  drain(): void
  /** Stops accepting, waits for what runs, then closes everything that was opened. */
  close(): Promise<void>
}

/** Opens both. Throws AppError `misconfigured` when one cannot be; then none is open. */
export async function openListeners(app: App, version: string): Promise<Listeners> {
  const { config, log, metrics } = app
  await checkIssuer(app)
  const sidecar = await createSidecar({
    host: config.sidecarHost,
    port: config.sidecarPort,
    allowedHosts: config.allowedHosts,
    metricsKey: config.metricsKey,
    failedKeys: app.failedKeys,
    metrics,
    log,
    readiness: () => app.readiness(),
  })
  try {
    const listener = await openProductListener(app)
    log.info('server listens', { version, host: config.httpHost, port: listener.port })
    print(`MindGlue ${version} serves MCP on ${listener.origin}/mcp`)
    print(`REST on ${listener.origin}/memory, described at ${listener.origin}/docs`)
    print(`Health and metrics on port ${sidecar.port}: /health/ready, /metrics`)
    return {
      drain: () => sidecar.drain(),
      async close() {
        log.info('server drains')
        sidecar.drain()
        await listener.close()
        await sidecar.close()
      },
    }
  } catch (error) {
    await sidecar.close()
    throw error
  }
}

/** MCP and REST. `host`: what the protocol talks to, the application when left out. */
export async function openProductListener(app: App, host: McpHost = app): Promise<Listener> {
  const { config, log, metrics } = app
  const endpoint = createProductEndpoint(host, {
    onError: (error) => log.debug('protocol request refused', { transport: 'mcp-http', error }),
  })
  const protectedResource = protectedResourceOf(config)
  const rest = createRest({
    ...app,
    isCurrent: (who) => app.authenticator.isCurrent(who),
    issuer: protectedResource?.issuer,
  })
  const { tlsCert: certificateFile, tlsKey: keyFile } = config
  return await createListener({
    host: config.httpHost,
    port: config.httpPort,
    tls:
      certificateFile === undefined || keyFile === undefined
        ? undefined
        : {
            certificateFile,
            keyFile,
            onCertificate(expiresAt) {
              metrics.certificateExpires(expiresAt)
              log.info('certificate serves', { component: 'http' })
            },
            onRefused(error) {
              metrics.failure('http')
              log.error('certificate refused', { component: 'http', error })
            },
          },
    hosts: config.allowedHosts,
    origins: config.allowedOrigins,
    bodyBytesMax: config.bodyBytesMax,
    drainSeconds: config.drainSeconds,
    authenticator: app.authenticator,
    protectedResource,
    openRoutes: await openRoutesOf(app),
    proxies: config.behindProxy,
    principalFields: (principal) => app.rateLimitFields(principal),
    mounts: [{ path: '/mcp', ...endpoint }, rest.mount],
    pages: rest.pages,
    onUnexpectedError(error, requestId) {
      metrics.failure('http')
      log.error('http request failed', { component: 'http', request_id: requestId, error })
    },
  })
}

/** Accounts, and the authorization server where they stand for one. */
async function openRoutesOf(app: App): Promise<readonly OpenRoute[]> {
  const { accounts, config, metrics, log } = app
  if (accounts === undefined) return []
  const { clients, consents, origin, signingKeys, formKey } = accounts
  // Whoever may make an account without being invited has a namespace of their own to choose.
  const own = config.accounts === 'open' ? createOwnNamespaces(app, origin) : undefined
  if (clients === undefined) return [accountRoutes({ ...accounts, own })]
  // Loaded here: a process without accounts would pay for it at its start.
  const { createOAuthProvider } = await import('../http/oauth-provider.ts')
  const { oauthRoutes } = await import('../http/oauth-routes.ts')
  const provider = await createOAuthProvider({
    issuer: origin,
    resource: resourceOf(origin),
    scopes: config.oauthScopes,
    signingKeys,
    clients,
    hasDocuments: config.clientDocuments !== 'off',
    onError(error) {
      metrics.failure('http')
      log.error('authorization failed', { component: 'oauth', error })
    },
    onRefusal: (error) => log.debug('authorization refused', { component: 'oauth', error }),
  })
  const routes = { provider, accounts: accounts.accounts, scopes: config.oauthScopes }
  return [
    accountRoutes({ ...accounts, own }),
    oauthRoutes({ ...routes, clients, consents, origin, formKey, own }),
  ]
}

/** A wrong issuer stops the start. One that cannot be reached does not: it may start beside us, or come back. */
async function checkIssuer({ tokens, log }: App): Promise<void> {
  await tokens?.askIssuer().catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'misconfigured') throw error
    log.warn('issuer of tokens cannot be asked for its keys', { component: 'oauth', error })
  })
}
