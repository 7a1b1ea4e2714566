/** Changes the root key file of a local installation: whole or not at all, readable by its owner alone. */
import { readFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { replaceFileDurably } from './durable-file.ts'
import { loadRootRing, rootKeyBytes, rootKeyId, type RootKey, type RootRing } from './root-ring.ts'

/** Puts a new random key first. Durable when it resolves. Throws as `loadRootRing` does. */
export async function prependRootKey(path: string): Promise<Pick<RootKey, 'keyId'>> {
  const ring = await load(path)
  const bytes = randomBytes(rootKeyBytes)
  const keyId = rootKeyId(bytes)
  await write(path, [{ keyId, bytes }, ...ring])
  return { keyId }
}

/** Takes a key out that is not the first. False when it is not there. */
export async function removeRootKey(path: string, keyId: number): Promise<boolean> {
  const [first, ...others] = await load(path)
  const kept = others.filter((key) => key.keyId !== keyId)
  if (kept.length === others.length) return false
  await write(path, [first, ...kept])
  return true
}

async function load(path: string): Promise<RootRing> {
  const ring = await loadRootRing({ file: path })
  if (ring === undefined) throw new TypeError('a file was named')
  return ring
}

async function write(path: string, ring: readonly RootKey[]): Promise<void> {
  const comments = (await readFile(path, 'utf8')).split('\n').filter((line) => line.startsWith('#'))
  const keys = ring.map((key) => key.bytes.toString('base64'))
  await replaceFileDurably(path, Buffer.from(`${[...comments, ...keys].join('\n')}\n`))
}
