/**
 * The root ring: where the 32-byte root keys come from (environment value, key file, command) and how
 * each gets its id. Derives nothing from them but that id; keyring.ts does the rest.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'
import { deriveKey, keyInfo } from './derive.ts'
import { writeFileDurably } from './durable-file.ts'
import { envelopeFailure } from './envelope.ts'
import { readPrivateFile } from './private-file.ts'

export const rootKeyBytes = 32
/** Keys kept for reading during a rotation; more is a forgotten ring, not a rotation. */
const ringKeysMax = 32
/** Far above a ring of 32 keys with comments; a wrong path does not fill memory. */
const sourceBytesMax = 64 * 1024
const keyFile = { what: 'root key file', bytesMax: sourceBytesMax, code: 'misconfigured' } as const
const commandDeadlineMsDefault = 10_000

export interface RootKey {
  /** 1 … 2³¹-1, derived from the key: the same key has the same id everywhere. Fits a Postgres `integer`. */
  readonly keyId: number
  /** 32 bytes. */
  readonly bytes: Buffer
}

/** The first key writes, all of them read. */
export type RootRing = readonly [RootKey, ...RootKey[]]

/** Exactly one of the three, or none for an installation without encryption. */
export interface RootKeySource {
  /** Text of the ring itself, see `parseRootKeys`. */
  readonly value?: string | undefined
  /** Path of a file with that text, readable by its owner alone. */
  readonly file?: string | undefined
  /** Program and arguments that print that text, such as a key management service's unwrap call. */
  readonly command?: readonly string[] | undefined
  readonly commandDeadlineMs?: number | undefined
}

function misconfigured(message: string): AppError {
  return new AppError('misconfigured', message)
}

/** The id of a root key: 4 bytes of HKDF-SHA256(key, info "mindglue/key-id/v1") without the top bit, never 0. */
export function rootKeyId(key: Uint8Array): number {
  return deriveKey(key, keyInfo.rootKeyId, 4).readUInt32BE(0) & 0x7fffffff || 1
}

/** The key with this id. Throws AppError `internal` (EnvelopeError `key`) when the ring has none. */
export function findRootKey(ring: RootRing, keyId: number): RootKey {
  const found = ring.find((key) => key.keyId === keyId)
  if (found === undefined) throw envelopeFailure('key')
  assert(
    found.bytes.some((byte) => byte !== 0),
    'the keyring is closed',
  )
  return found
}

function decodeKey(text: string, position: number): Buffer {
  const isHex = /^[0-9a-fA-F]{64}$/.test(text)
  const isBase64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
  if (!isHex && !isBase64) {
    throw misconfigured(
      `Root key ${position} is not 32 bytes in base64 or hex. Make one with: openssl rand -base64 32`,
    )
  }
  const bytes = Buffer.from(text, isHex ? 'hex' : 'base64')
  assert(bytes.length === rootKeyBytes)
  // 32 random bytes hold about 30 distinct values; fewer than 8 happens by typing, not by chance.
  if (new Set(bytes).size < 8) {
    throw misconfigured(
      `Root key ${position} is not random. Make one with: openssl rand -base64 32`,
    )
  }
  return bytes
}

/**
 * Reads a ring: keys in base64, base64url or hex, separated by white space or commas, the writing key
 * first; `#` starts a comment. Throws AppError `misconfigured` that names the position, never the text.
 */
export function parseRootKeys(text: string): RootRing {
  const words = text
    .replaceAll(/#.*$/gm, '')
    .split(/[\s,]+/)
    .filter((word) => word !== '')
  if (words.length > ringKeysMax) throw misconfigured(`More than ${ringKeysMax} root keys.`)
  const keys = words.map((word, index) => {
    const bytes = decodeKey(word, index + 1)
    return { keyId: rootKeyId(bytes), bytes }
  })
  const [first, ...rest] = keys
  if (first === undefined) throw misconfigured('The root key source holds no key.')
  if (new Set(keys.map((key) => key.keyId)).size !== keys.length) {
    throw misconfigured('The same root key stands twice in the ring.')
  }
  return [first, ...rest]
}

/** Runs the command without a shell; its error output goes to ours so that the operator sees its reason. */
function runKeyCommand(command: readonly string[], deadlineMs: number): Promise<string> {
  const [program, ...args] = command
  if (program === undefined) throw misconfigured('The root key command is empty.')
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      shell: false,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    })
    const chunks: Buffer[] = []
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > sourceBytesMax) child.kill('SIGKILL')
      else chunks.push(chunk)
    })
    child.on('error', (cause) => {
      reject(new AppError('misconfigured', 'The root key command cannot be started.', { cause }))
    })
    child.on('close', (code, signal) => {
      const output = Buffer.concat(chunks)
      if (code === 0 && size <= sourceBytesMax) resolve(output.toString('utf8'))
      else if (size > sourceBytesMax) reject(misconfigured('The root key command prints too much.'))
      else {
        const how = signal === null ? `with code ${code}` : `by ${signal} (limit ${deadlineMs} ms)`
        reject(misconfigured(`The root key command ended ${how}.`))
      }
      output.fill(0)
    })
  })
}

/**
 * Loads the ring from its one source; `undefined` when none is set. Throws AppError `misconfigured`
 * (two sources, an exposed file, a failing command, a bad key): the process must not start then.
 */
export async function loadRootRing(source: RootKeySource): Promise<RootRing | undefined> {
  const { value, file, command } = source
  const given = [value, file, command].filter((each) => each !== undefined)
  if (given.length > 1) throw misconfigured('Give the root key in one way only.')
  if (value !== undefined) return parseRootKeys(value)
  if (file !== undefined) return parseRootKeys(await readPrivateFile(file, keyFile))
  if (command === undefined) return undefined
  const deadlineMs = source.commandDeadlineMs ?? commandDeadlineMsDefault
  return parseRootKeys(await runKeyCommand(command, deadlineMs))
}

/**
 * Makes a new random root key in a file of mode 0600 (its folder 0700 if it is made here). Durable when
 * it resolves; two callers never get two keys. Throws AppError `conflict` when the file exists.
 */
export async function createRootKeyFile(path: string): Promise<RootRing> {
  const bytes = randomBytes(rootKeyBytes)
  const text = `# MindGlue root key. Losing it loses every encrypted memory: keep a copy elsewhere.\n${bytes.toString('base64')}\n`
  await writeFileDurably(path, Buffer.from(text))
  return [{ keyId: rootKeyId(bytes), bytes }]
}
