/** What belongs to one memory, entity, grant, file, listing or transaction, and opens nowhere else. */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import nacl from 'tweetnacl'
import { deriveKey } from '../../../src/crypto/derive.ts'
import { EnvelopeKey, open } from '../../../src/crypto/envelope.ts'
import { chunkBytes, generateKeyPair, openSealed, sealTo } from '../../../src/crypto/sealed-box.ts'
import { compileSql, type Database } from '../../../src/database/database.ts'
import { contextPads, createScope, installContextKey } from '../../../src/database/scope.ts'
import { readEntityName, writeEntityName } from '../../../src/graph/entity-names.ts'
import { openCursor, sealCursor, type CursorBinding } from '../../../src/memory/cursor.ts'
import { addFields, readFields, writeFields } from '../../../src/memory/fields.ts'
import { openMark, sealMark } from '../../../src/memory/grant-mark.ts'
import { openVector, sealVector } from '../../../src/memory/vector-token.ts'
import type { NamespaceSettings } from '../../../src/operation.ts'
import hierarchy from '../../crypto/vectors/hierarchy.json' with { type: 'json' }
import { damaged, fakeSql, hex, holds, material, refuses, ringOf } from './verdict.ts'

export const settings: NamespaceSettings = {
  namespace: 7n,
  name: 'home',
  revision: 1,
  plan: 'free',
  profile: 'field',
  door: { credentials: 'allow', personal: 'allow' },
  embedderModel: 'none',
  embedderDimension: 2,
  analyzerVersion: 1,
  indexKey: randomBytes(32),
  keys: ringOf(hex(hierarchy.rootKey)).namespace(material),
  plainBelow: undefined,
  commonTerms: new Set(),
  documentCount: 0,
  meanLength: 12,
}
export const plain: NamespaceSettings = { ...settings, keys: undefined, profile: 'off' }

export function rows(): void {
  const elsewhere = { ...settings, namespace: 8n }
  const name = writeEntityName(settings, 5n, 'Ada')
  holds('name', readEntityName(settings, name) === 'Ada')
  refuses('another entity’s name', () => readEntityName(settings, { ...name, entity: 6n }))
  refuses('a name of another namespace', () => readEntityName(elsewhere, name))
  refuses('a plain name', () => readEntityName(settings, { ...name, key_token: null }))
  refuses('a name in a plain namespace', () => readEntityName(plain, name))
  const second = writeEntityName(settings, 6n, 'Bob')
  refuses('a name under another key', () =>
    readEntityName(settings, { ...name, name: second.name }),
  )
  const place = { id: 'a', version: 1 }
  const { writer, key } = writeFields(settings, place)
  const stored = { ...place, document: 1, key_token: key?.token ?? null }
  const token = writer.encode('content', 'text')
  const reader = readFields(settings, stored)
  holds('field', reader.decode('content', token) === 'text')
  refuses('another column', () => reader.decode('tags', token))
  refuses('another version', () => readFields(settings, { ...stored, version: 2 }))
  refuses('another memory', () => readFields(settings, { ...stored, id: 'b' }))
  refuses('another namespace', () => readFields(elsewhere, stored).decode('content', token))
  refuses('no key', () =>
    readFields(settings, { ...stored, key_token: null }).decode('content', token),
  )
  refuses('a key in a plain namespace', () => readFields(plain, stored))
  refuses('adding without a key', () => addFields(settings, { ...stored, key_token: null }))
  refuses('adding in a plain namespace', () => addFields(plain, stored))
  const added = addFields(settings, stored).encode('tags', 'more')
  holds('an added field', reader.decode('tags', added) === 'more')
  const vector = sealVector(writer, Float32Array.of(1, 2))
  holds('vector', openVector(settings, { ...stored, token: vector }, 2)[1] === 2)
  refuses('a longer vector', () => openVector(settings, { ...stored, token: vector }, 3))
  refuses('a content as a vector', () => openVector(settings, { ...stored, token }, 2))
  const early = { ...settings, plainBelow: 99 }
  refuses('a plain vector', () =>
    openVector(early, { ...stored, token: Buffer.alloc(8), key_token: null }, 2),
  )
  const mark = sealMark(settings, 'g', { tag: 'home' })
  holds('mark', 'tag' in openMark(settings, 'g', mark))
  const markKey = new EnvelopeKey(0, deriveKey(settings.indexKey, 'mindglue/grant-mark/v1', 64))
  const markPlace = { namespace: 7n, id: 'g', version: 0, column: 'grant_mark' }
  holds('a mark in its place', open(markKey, markPlace, mark).toString() === '{"tag":"home"}')
  refuses('another grant’s mark', () => openMark(settings, 'h', mark))
  refuses('a mark of another namespace', () => openMark(elsewhere, 'g', mark))
  refuses('a mark under another key', () =>
    openMark({ ...settings, indexKey: randomBytes(32) }, 'g', mark),
  )
}

export async function files(): Promise<void> {
  const pair = generateKeyPair()
  const text = Buffer.alloc(chunkBytes * 2 + 100, 'a')
  const sealed = await all(sealTo(pair.publicKey, [text]))
  holds('sealed file', (await all(openSealed(pair.secretKey, [sealed]))).equals(text))
  const header = 42
  // By another hand, as docs/encryption-format.md says.
  const digest = createHash('sha256')
    .update('mindglue/sealed-file/v1')
    .update(sealed.subarray(0, header))
  const prefix = digest.update(pair.publicKey).digest().subarray(0, 19)
  const shared = nacl.box.before(sealed.subarray(10, header), pair.secretKey)
  const nonce = Buffer.concat([prefix, Buffer.alloc(5)])
  const first = nacl.box.open.after(
    sealed.subarray(header, header + chunkBytes + 16),
    nonce,
    shared,
  )
  holds('first chunk by another hand', first !== null && first.length === chunkBytes)
  const chunk = chunkBytes + 16
  const parts = [
    sealed.subarray(0, header),
    sealed.subarray(header, header + chunk),
    sealed.subarray(header + chunk, header + 2 * chunk),
    sealed.subarray(header + 2 * chunk),
  ] as const
  const wrong: Readonly<Record<string, readonly Buffer[]>> = {
    swapped: [parts[0], parts[2], parts[1], parts[3]],
    'cut in its header': [sealed.subarray(0, 20)],
    cut: [parts[0], parts[1], parts[2]],
    'cut inside': [sealed.subarray(0, -50)],
    extended: [sealed, Buffer.from('more')],
    'another version': [Buffer.concat([sealed.subarray(0, 9), Buffer.of(2), sealed.subarray(10)])],
    'no such file': [Buffer.from('plain')],
    changed: [Buffer.concat([sealed.subarray(0, 60), Buffer.of(1, 2, 3), sealed.subarray(63)])],
  }
  for (const [name, source] of Object.entries(wrong))
    await refusesFile(name, pair.secretKey, source)
  await refusesFile('another recipient', generateKeyPair().secretKey, [sealed])
}

async function refusesFile(name: string, secretKey: Uint8Array, source: readonly Buffer[]) {
  const error = await all(openSealed(secretKey, source)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  holds(`a ${name} file is refused`, error instanceof Error && error.name === 'AppError')
}

async function all(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export function cursors(): void {
  const key = randomBytes(32)
  const binding: CursorBinding = {
    principal: { namespace: 7n, agent: 'ada' },
    operation: 'recall',
    filter: 'x',
  }
  const cursor = sealCursor(key, binding, ['a', 'b'])
  holds('cursor', openCursor(key, binding, cursor).join() === 'a,b')
  const others: CursorBinding[] = [
    { ...binding, principal: { namespace: 8n, agent: 'ada' } },
    { ...binding, principal: { namespace: 7n, agent: 'eve' } },
    { ...binding, operation: 'export' },
    { ...binding, filter: 'y' },
  ]
  for (const other of others)
    refuses('a cursor of another listing', () => openCursor(key, other, cursor))
  refuses('a cursor of another key', () => openCursor(randomBytes(32), binding, cursor))
  for (const bad of damaged(Buffer.from(cursor, 'base64url'))) {
    refuses('a changed cursor', () => openCursor(key, binding, bad.toString('base64url')))
  }
}

/** The text that a transaction is opened with, part by part, and the secret that it is signed with. */
export async function contexts(): Promise<void> {
  const key = randomBytes(32)
  let sent = ''
  const sql = fakeSql((strings, ...values) => {
    const text = compileSql(strings, values).values.find((value) => typeof value === 'string')
    if (typeof text === 'string' && text.includes('|')) sent = text
    return []
  })
  const database: Pick<Database, 'transaction'> = { transaction: (_options, work) => work(sql) }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a scope asks for transactions alone
  const scope = createScope(database as Database, key)
  const isSigned = (body: RegExp): boolean => {
    const [text, mac] = [sent.slice(0, -65), sent.slice(-64)]
    return body.test(text) && createHmac('sha256', key).update(text).digest('hex') === mac
  }
  const ada = { namespace: 7n, agent: 'ada', scopes: new Set(['admin'] as const) }
  await scope.withNamespace(ada, {}, () => Promise.resolve())
  holds('context of an agent', isSigned(/^7\|616461\|aq\|\d{10}$/u))
  await scope.withJob(ada, {}, () => Promise.resolve())
  holds('context of a job', isSigned(/^7\|616461\|aqj\|\d{10}$/u))
  await scope.withGrant({ ...ada, namespace: 8n }, { id: 'x', namespace: 7n }, () =>
    Promise.resolve(),
  )
  holds('context of a reader', isSigned(/^7\|616461\|g\|\d{10}\|8\|x$/u))
  await scope.withDirectory(() => Promise.resolve())
  holds('context of the directory', isSigned(/^\|\|d\|\d{10}\|$/u))
  const stored = contextPads(randomBytes(32)).inner
  const owner = fakeSql(() => [{ inner_pad: stored }])
  const refused = await installContextKey(owner, key).then(
    () => false,
    (error: unknown) => error instanceof Error && error.name === 'AppError',
  )
  holds('another installation’s secret is refused', refused)
}
