/** Accounts as the configuration wants them. */
import type { AccessTokens } from '../auth/access-tokens.ts'
import { resourceOf } from '../auth/open-tokens.ts'
import type { Config } from '../config.ts'
import { deriveKey, keyInfo } from '../crypto/derive.ts'
import type { InstallationKeys } from '../crypto/installation-secret.ts'
import type { NamespaceScope } from '../database/scope.ts'
import type { Log } from '../telemetry/log.ts'
import { createAccounts, type Accounts } from './accounts.ts'
import { commandMail, terminalMail } from './mail.ts'
import type { ClientTokensOptions } from './client-tokens.ts'
import { createClients, type Clients } from './clients.ts'
import { createConsents, type Consents } from './consents.ts'
import { createLeaving, type LeavingOptions } from './leaving.ts'
import { createMemberTokens } from './member-tokens.ts'
import { createOutbox } from './outbox.ts'
import { createPasswords, loadBcrypt } from './passwords.ts'
import type { SigningKeys } from './session-tokens.ts'

export interface OpenedAccounts {
  readonly accounts: Accounts
  readonly signingKeys: SigningKeys
  /** Verifies tokens for namespaces. */
  readonly tokens: AccessTokens
  /** Origin of the account pages. */
  readonly origin: string
  /** What people allow programs, and take back. */
  readonly consents: Consents
  /** Programs that people may let in; undefined where another issuer does that. */
  readonly clients: Clients | undefined
  /** 32 secret bytes: forms of our own pages. */
  readonly formKey: Uint8Array
  /** Sends the letters that are waiting. */
  close(): Promise<void>
}

export interface AccountsParts extends Pick<LeavingOptions, 'removeNamespace'> {
  readonly config: Config
  readonly keys: InstallationKeys
  readonly scope: NamespaceScope
  readonly log: Log
}

/** Undefined where there are none. */
export async function openAccounts(parts: AccountsParts): Promise<OpenedAccounts | undefined> {
  const { config, keys, scope, log, removeNamespace } = parts
  const { publicUrl: origin, mailCommand, mailFrom } = config
  if (config.accounts === 'off' || origin === undefined) return undefined
  // Loaded here: a process without accounts would pay for it at its start.
  const { createSessionTokens, createSigningKeys } = await import('./session-tokens.ts')
  const bcrypt = await loadBcrypt()
  if (bcrypt === undefined) log.warn('bcrypt does not load; passwords are hashed with scrypt')
  const signingKeys = createSigningKeys(signingSecret(keys, config.signingKeyGeneration))
  const tokens = createSessionTokens(origin, signingKeys)
  const outbox = createOutbox(
    // On one's own machine only (config.ts): elsewhere codes would be in a log.
    mailCommand === undefined
      ? terminalMail((text) => process.stderr.write(text))
      : commandMail(mailCommand, mailFrom ?? `mindglue@${new URL(origin).hostname}`),
    (error) => log.warn('letter could not be sent', { component: 'mail', error }),
  )
  const accounts = createAccounts({
    isOpen: config.accounts === 'open',
    inDirectory: (work) => scope.withDirectory(work),
    passwords: createPasswords(keys('password'), bcrypt, () =>
      log.error('bcrypt does not load, and passwords were hashed with it: install @node-rs/bcrypt'),
    ),
    tokens,
    post: (letter) => outbox.post(letter),
    leave: createLeaving({ scope, removeNamespace, origin }),
    totpKey: keys('totp'),
  })
  const inDirectory: NamespaceScope['withDirectory'] = (work) => scope.withDirectory(work)
  const clientKey = keys('client')
  return {
    accounts,
    signingKeys,
    origin,
    consents: createConsents(scope),
    tokens: await ownTokens(config, createMemberTokens(tokens, inDirectory), {
      issuer: origin,
      audience: resourceOf(origin),
      signingKeys,
      inDirectory,
      scopes: config.oauthScopes,
    }),
    clients:
      config.oauthIssuer === undefined
        ? createClients({ inDirectory, key: clientKey, documents: config.clientDocuments })
        : undefined,
    formKey: deriveKey(clientKey, keyInfo.form, 32),
    close: () => outbox.close(),
  }
}

/** Another one for each generation that the operator counts up to. */
function signingSecret(keys: InstallationKeys, generation: number): Uint8Array {
  const secret = keys('token')
  return generation === 0 ? secret : deriveKey(secret, keyInfo.tokenGeneration(generation), 32)
}

/** Of a person's session, and of a client that the person let in: the second one names its client. */
async function ownTokens(
  config: Config,
  members: AccessTokens,
  options: ClientTokensOptions,
): Promise<AccessTokens> {
  if (config.oauthIssuer !== undefined) return members
  const { createClientTokens } = await import('./client-tokens.ts')
  const { statedClaims } = await import('../auth/access-tokens.ts')
  const clients = createClientTokens(options)
  return {
    verify: (token) =>
      (Object.hasOwn(statedClaims(token), 'client_id') ? clients : members).verify(token),
  }
}
