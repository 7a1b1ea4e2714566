/** What a client says of itself (RFC 7591, client id metadata documents), as far as it counts here. */
import { z } from 'zod'
import { AppError } from '../errors.ts'

const uriCharactersMax = 1024
const urisMax = 10
const nameCharactersMax = 80
const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Schemes that lead elsewhere than to an app that registered one for itself. */
const otherSchemes =
  /^(?:about|blob|chrome|data|file|filesystem|ftps?|git|gopher|https?|jar|javascript|ldaps?|nfs|rdp|resource|rtsp|sftp|smb|ssh|svn|telnet|vbscript|view-source|vnc|wss?|[\w.+-]*script):$/u

const said = z.object({
  redirect_uris: z.array(z.string().max(uriCharactersMax)).min(1).max(urisMax),
  client_name: z.string().max(1000).optional(),
})

/**
 * What is kept. Everybody may call back over HTTPS, to this very machine on any port (RFC 8252 §7.3), or into
 * an app by its scheme, whatever type of application was said: most clients say none. Nobody has a secret,
 * PKCE stands for it.
 */
export interface ClientMetadata {
  readonly client_id: string
  readonly client_name?: string
  readonly redirect_uris: readonly string[]
  readonly application_type: 'native'
  readonly token_endpoint_auth_method: 'none'
  readonly grant_types: readonly ['authorization_code', 'refresh_token']
  readonly response_types: readonly ['code']
}

/** Throws AppError `invalid_input` with the error code of RFC 7591 §3.2.2 in `details.error`. */
export function readClientMetadata(id: string, document: unknown): ClientMetadata {
  const parsed = said.safeParse(document)
  if (!parsed.success) {
    const isUri = parsed.error.issues[0]?.path[0] === 'redirect_uris'
    throw refused(isUri ? 'invalid_redirect_uri' : 'invalid_client_metadata')
  }
  const { redirect_uris: uris, client_name: name } = parsed.data
  if (!uris.every((uri) => isRedirect(uri))) throw refused('invalid_redirect_uri')
  const shown = plainText(name ?? '')
  return {
    client_id: id,
    ...(shown !== '' && { client_name: shown }),
    redirect_uris: uris,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }
}

/** What `readClientMetadata` made, from its row. */
export function readStoredClient(text: string): ClientMetadata {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written from a checked value
  return JSON.parse(text) as ClientMetadata
}

/** True for an address that an answer may be sent to. */
function isRedirect(uri: string): boolean {
  if (!URL.canParse(uri) || /[\s#\\\p{Cc}]/u.test(uri)) return false
  const { protocol, hostname, username, password } = new URL(uri)
  if (username !== '' || password !== '') return false
  if (protocol === 'https:') return !loopbackNames.has(hostname)
  if (protocol === 'http:') return loopbackNames.has(hostname)
  // RFC 8252 §7.1 wants a domain in front; well-known editors have `name://` instead.
  const isApp = uri.startsWith(`${protocol}//`) || protocol.includes('.')
  return isApp && !otherSchemes.test(protocol)
}

/** One line that shows as it reads: nothing invisible, nothing that turns the direction of writing. */
function plainText(text: string): string {
  return text
    .normalize('NFC')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')
    .replaceAll(/\s+/gu, ' ')
    .trim()
    .slice(0, nameCharactersMax)
}

function refused(error: 'invalid_redirect_uri' | 'invalid_client_metadata'): AppError {
  const text =
    error === 'invalid_redirect_uri'
      ? `redirect_uris must be 1 to ${urisMax} addresses: https, http on a loopback address, or an app's own scheme`
      : 'the metadata of the client is not as it must be'
  return new AppError('invalid_input', text, { details: { error } })
}

/** Where an answer goes, for people: a host, or an app on their own device. */
export function redirectPlace(uri: string): string {
  const { protocol, hostname, host } = new URL(uri)
  if (protocol === 'https:') return host
  if (protocol === 'http:') return `this computer (${hostname})`
  return `the app “${protocol.slice(0, -1)}” on this device`
}
