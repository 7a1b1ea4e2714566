/** Clients whose id is the address of a document that describes them (Client ID Metadata Documents, draft-02). */
import { send } from '../egress.ts'
import { AppError } from '../errors.ts'
import { readClientMetadata, type ClientMetadata } from './client-metadata.ts'

const timeoutMs = 5000
/** The draft recommends five kilobytes as the most; logos and contacts of some take more. */
const documentBytesMax = 16_384
const idCharactersMax = 512

/** Who may describe itself: programs on the internet, those on this machine as well (to develop one), nobody. */
export type DocumentReach = 'public' | 'loopback' | 'off'

const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** True for what may be the address of a document: draft §3, and no address of a machine by its number. */
export function isDocumentId(id: string, reach: DocumentReach): boolean {
  if (reach === 'off' || id.length > idCharactersMax || !URL.canParse(id)) return false
  const { href, protocol, hostname, username, password, pathname, hash } = new URL(id)
  // Written as it is read: no dot segments, no other spelling of the same address.
  if (href !== id || username !== '' || password !== '' || hash !== '' || pathname === '/') {
    return false
  }
  if (reach === 'loopback' && loopbackNames.has(hostname)) return true
  return protocol === 'https:' && hostname.includes('.') && !/^[\d.]+$/u.test(hostname)
}

/**
 * Reads the document over the network: no redirect, five seconds, 16 KiB, and no address but of the internet.
 * Throws AppError `invalid_input` for what is no such document, `unavailable` or `timeout` without an answer.
 */
export async function fetchClientDocument(
  id: string,
  reach: DocumentReach,
): Promise<ClientMetadata> {
  const isOwn = reach === 'loopback' && loopbackNames.has(new URL(id).hostname)
  const { status, body } = await send({
    url: id,
    headers: { accept: 'application/json' },
    timeoutMs,
    answerBytesMax: documentBytesMax,
    isPublicOnly: !isOwn,
  })
  if (status !== 200) throw notADocument()
  const document = parse(body)
  // It must name itself, or a document anywhere could stand for this one; and have no shared secret.
  if (document['client_id'] !== id || 'client_secret' in document) throw notADocument()
  return readClientMetadata(id, document)
}

function parse(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(body.toString())
    if (typeof json === 'object' && json !== null) return { ...json }
  } catch {
    // Said below, in the same words.
  }
  throw notADocument()
}

function notADocument(): AppError {
  const text = 'There is no document at this address in which the client describes itself.'
  return new AppError('invalid_input', text, { details: { error: 'invalid_client' } })
}
