/** The whole server on loopback, with a real issuer of tokens beside it. */
import type { Environment } from '../../src/config.ts'
import { startTestApp, type TestApp } from './app.ts'
import { freePort } from './free-port.ts'
import { startOAuthServer, type OAuthServer, type OAuthServerOptions } from './oauth-server.ts'

export interface OAuthApp extends TestApp {
  readonly issuer: OAuthServer
  /** What tokens are issued for. */
  readonly resource: string
}

export interface OAuthAppOptions extends Partial<OAuthServerOptions> {
  readonly environment?: Environment
}

export async function startOAuthApp(options: OAuthAppOptions = {}): Promise<OAuthApp> {
  const { environment, ...server } = options
  // Both must know the other's address before they start.
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const resource = `${publicUrl}/mcp`
  const issuer = await startOAuthServer({ resource, ...server })
  try {
    const app = await startTestApp({
      environment: {
        MINDGLUE_HTTP_PORT: String(port),
        MINDGLUE_PUBLIC_URL: publicUrl,
        MINDGLUE_OAUTH_ISSUER: issuer.issuer,
        ...environment,
      },
    })
    const close = async (): Promise<void> => {
      await app.close()
      await issuer.close()
    }
    return { ...app, issuer, resource, close }
  } catch (error) {
    await issuer.close()
    throw error
  }
}
