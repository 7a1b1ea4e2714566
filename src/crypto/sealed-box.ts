/**
 * Files sealed to a public key: NaCl box with a key made for one file (libsodium's sealed box idea),
 * in chunks of the STREAM construction, so that a file of any size is opened as it arrives and a cut,
 * reordered or extended one is refused. Layout: docs/encryption-format.md.
 */
import { createHash } from 'node:crypto'
import nacl from 'tweetnacl'
import { AppError } from '../errors.ts'

/** Nine bytes, one of them not ASCII, so that no text file is taken for a sealed one. */
const magic = Buffer.from('mindglue\xb1', 'latin1')
const formatVersion = 1
export const sealedHeaderBytes = magic.length + 1 + nacl.box.publicKeyLength
/** Plaintext of every chunk but the last. 64 KiB: as age, about a millisecond of work at a time. */
export const chunkBytes = 64 * 1024
const boxedChunkBytes = chunkBytes + nacl.box.overheadLength
const noncePrefixBytes = 19
/** The counter has 32 bits: 256 TiB in one file. */
const chunksMax = 2 ** 32

export interface KeyPair {
  /** 32 bytes, X25519. */
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

/** Whatever yields bytes: a file stream, an array of buffers. Chunk borders mean nothing. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export function generateKeyPair(): KeyPair {
  return nacl.box.keyPair()
}

const publicKeyPrefix = 'mindglue-public-'
const secretKeyPrefix = 'mindglue-secret-'

/** Text forms for the command line: the prefix keeps the two from being mistaken for each other. */
export function formatPublicKey(publicKey: Uint8Array): string {
  return publicKeyPrefix + Buffer.from(publicKey).toString('base64url')
}

export function formatSecretKey(secretKey: Uint8Array): string {
  return secretKeyPrefix + Buffer.from(secretKey).toString('base64url')
}

/** Throws AppError `invalid_input`; a secret key given as the public one is named as such. */
export function parsePublicKey(text: string): Uint8Array {
  if (text.startsWith(secretKeyPrefix)) {
    throw new AppError('invalid_input', 'This is the secret key. Seal to the public one.')
  }
  return parseKey(text, publicKeyPrefix)
}

/** Throws AppError `invalid_input`. */
export function parseSecretKey(text: string): Uint8Array {
  return parseKey(text, secretKeyPrefix)
}

function parseKey(text: string, prefix: string): Uint8Array {
  const body = text.startsWith(prefix) ? text.slice(prefix.length) : ''
  const bytes = Buffer.from(body, 'base64url')
  if (bytes.length !== 32 || bytes.toString('base64url') !== body) {
    throw new AppError('invalid_input', `A key looks like ${prefix}… with 43 more characters.`)
  }
  return bytes
}

/**
 * The NaCl box key of two key pairs. A public key of small order would make it the same for every
 * sender (RFC 7748 section 6.1), so an all-zero shared secret is refused.
 */
function sharedKey(publicKey: Uint8Array, secretKey: Uint8Array): Uint8Array {
  if (nacl.scalarMult(secretKey, publicKey).every((byte) => byte === 0)) {
    throw new AppError('invalid_input', 'This public key is not usable. Make a new key pair.')
  }
  return nacl.box.before(publicKey, secretKey)
}

/**
 * Nonce of a chunk: prefix 19, counter u32, last-chunk flag u8. The key is used for one file only, so a
 * fixed prefix is safe; it is a hash of header and recipient, which puts both under every chunk's tag.
 */
class ChunkNonce {
  readonly #nonce = Buffer.alloc(nacl.box.nonceLength)
  #counter = 0

  constructor(header: Uint8Array, publicKey: Uint8Array) {
    const digest = createHash('sha256').update('mindglue/sealed-file/v1').update(header)
    this.#nonce.set(digest.update(publicKey).digest().subarray(0, noncePrefixBytes))
  }

  next(isLast: boolean): Uint8Array {
    if (this.#counter >= chunksMax) throw new AppError('payload_too_large', 'The file is too long.')
    this.#nonce.writeUInt32BE(this.#counter, noncePrefixBytes)
    this.#nonce[noncePrefixBytes + 4] = isLast ? 1 : 0
    this.#counter += 1
    return this.#nonce
  }
}

interface Piece {
  readonly bytes: Buffer
  readonly isLast: boolean
}

/**
 * Cuts a source into pieces of `size` bytes; the last one has 1 … size bytes, or none if the source is
 * empty. Holds two pieces at most: a full piece is the last one only when nothing follows.
 */
async function* cut(source: ByteSource, size: number): AsyncGenerator<Piece> {
  let held: Buffer[] = []
  let heldBytes = 0
  for await (const part of source) {
    held.push(Buffer.from(part))
    heldBytes += part.length
    if (heldBytes <= size) continue
    const joined = Buffer.concat(held, heldBytes)
    let offset = 0
    for (; joined.length - offset > size; offset += size) {
      yield { bytes: joined.subarray(offset, offset + size), isLast: false }
    }
    held = [joined.subarray(offset)]
    heldBytes = joined.length - offset
  }
  yield { bytes: Buffer.concat(held, heldBytes), isLast: true }
}

/** Seals `source` so that only the holder of the secret key reads it; the sender stays unnamed. */
export async function* sealTo(publicKey: Uint8Array, source: ByteSource): AsyncGenerator<Buffer> {
  const ephemeral = nacl.box.keyPair()
  const key = sharedKey(publicKey, ephemeral.secretKey)
  ephemeral.secretKey.fill(0)
  const header = Buffer.concat([magic, Uint8Array.of(formatVersion), ephemeral.publicKey])
  const nonce = new ChunkNonce(header, publicKey)
  try {
    yield header
    for await (const { bytes, isLast } of cut(source, chunkBytes)) {
      yield Buffer.from(nacl.box.after(bytes, nonce.next(isLast), key))
    }
  } finally {
    key.fill(0)
  }
}

function damaged(): AppError {
  return new AppError(
    'invalid_input',
    'The sealed file is damaged, cut short, or was sealed to another key.',
  )
}

/**
 * Opens what `sealTo` made. Yields only authenticated bytes, in order; but a file cut at its end is
 * known as such only there, so use nothing before the generator has finished. Throws AppError
 * `invalid_input` (damaged, cut, extended, another key) or `unsupported` (a later format).
 */
export async function* openSealed(
  secretKey: Uint8Array,
  source: ByteSource,
): AsyncGenerator<Buffer> {
  const { header, rest } = await splitHeader(source)
  if (!header.subarray(0, magic.length).equals(magic)) {
    throw new AppError('invalid_input', 'This is not a sealed MindGlue file.')
  }
  if (header[magic.length] !== formatVersion) {
    throw new AppError('unsupported', 'A newer MindGlue sealed this file. Open it with that one.')
  }
  if (header.length < sealedHeaderBytes) throw damaged()
  const publicKey = nacl.box.keyPair.fromSecretKey(secretKey).publicKey
  const key = sharedKey(header.subarray(magic.length + 1), secretKey)
  const nonce = new ChunkNonce(header, publicKey)
  try {
    let opened = 0
    for await (const { bytes, isLast } of cut(rest, boxedChunkBytes)) {
      const plain = nacl.box.open.after(bytes, nonce.next(isLast), key)
      // An empty chunk is the whole of an empty file: one plaintext has one length of ciphertext.
      if (plain === null || (plain.length === 0 && opened > 0)) throw damaged()
      opened += 1
      yield Buffer.from(plain)
    }
  } finally {
    key.fill(0)
  }
}

/** Reads the header and leaves the rest of the source to be read on. */
async function splitHeader(source: ByteSource): Promise<{ header: Buffer; rest: ByteSource }> {
  const iterator = (async function* () {
    yield* source
  })()
  let start = Buffer.alloc(0)
  while (start.length < sealedHeaderBytes) {
    const { done, value } = await iterator.next()
    if (done === true) break
    start = Buffer.concat([start, value])
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    yield start.subarray(sealedHeaderBytes)
    yield* iterator
  }
  return { header: start.subarray(0, sealedHeaderBytes), rest: rest() }
}
