/** What each key, code and label is bound to, by vectors of another program and by values in the wrong place. */
import { createHmac, randomBytes } from 'node:crypto'
import { openCredential, sealCredential } from '../../../src/crypto/credentials.ts'
import { deriveKey, keyInfo } from '../../../src/crypto/derive.ts'
import {
  EnvelopeKey,
  expandContentKey,
  open,
  seal,
  type EnvelopeContext,
} from '../../../src/crypto/envelope.ts'
import { openFernet, parseFernetKey, sealFernet } from '../../../src/crypto/fernet.ts'
import { Keyring } from '../../../src/crypto/keyring.ts'
import { formatRecord, parseRecord } from '../../../src/crypto/keystore-record.ts'
import { contentKeySlot, indexKeySlot } from '../../../src/crypto/namespace-keys.ts'
import { parseRootKeys, rootKeyId } from '../../../src/crypto/root-ring.ts'
import { chunkBytes, generateKeyPair, openSealed, sealTo } from '../../../src/crypto/sealed-box.ts'
import { blindIndex, hashTerm } from '../../../src/crypto/term-hash.ts'
import { readEntityName, writeEntityName } from '../../../src/graph/entity-names.ts'
import { openCursor, sealCursor, type CursorBinding } from '../../../src/memory/cursor.ts'
import { addFields, readFields, writeFields } from '../../../src/memory/fields.ts'
import { openMark, sealMark } from '../../../src/memory/grant-mark.ts'
import { openVector, sealVector } from '../../../src/memory/vector-token.ts'
import type { NamespaceSettings } from '../../../src/operation.ts'
import envelope from '../../crypto/vectors/envelope.json' with { type: 'json' }
import fernet from '../../crypto/vectors/fernet.json' with { type: 'json' }
import hierarchy from '../../crypto/vectors/hierarchy.json' with { type: 'json' }

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const failures: string[] = []

/** What must be. */
function holds(name: string, is: boolean): void {
  if (!is) failures.push(name)
}

/** What must be refused, by a typed error of ours. */
function refuses(name: string, work: () => unknown): void {
  try {
    work()
    failures.push(`${name} is believed`)
  } catch (error) {
    const isTyped = error instanceof Error && error.name === 'AppError'
    if (!isTyped) failures.push(`${name} is refused with ${String(error)}`)
  }
}

/** A token with each of its bytes changed, and cut. */
const damaged = (token: Uint8Array): Buffer[] => [
  ...Array.from(token, (byte, index) => {
    const copy = Buffer.from(token)
    copy[index] = byte ^ 1
    return copy
  }),
  Buffer.from(token.subarray(1)),
  Buffer.from(token.subarray(0, -1)),
  Buffer.from(token.subarray(0, -16)),
  Buffer.from(token.subarray(0, 20)),
  Buffer.alloc(0),
  Buffer.from('plain text'),
]

/** Names of what did not hold; empty for the product as it is. */
export async function brokenBindings(): Promise<readonly string[]> {
  for (const probe of [envelopes, keys, wraps, hashes, rows, files, cursors, labels]) {
    try {
      await probe()
    } catch (error) {
      failures.push(`${probe.name}: ${String(error)}`)
    }
  }
  return failures.splice(0)
}

function envelopes(): void {
  const key = expandContentKey(hex(envelope.contentKey))
  for (const { context, plaintext, token, iv, timestamp, name } of envelope.cases) {
    const place = { ...context, namespace: BigInt(context.namespace) }
    const sealed = seal(key, place, hex(plaintext), { nowSeconds: timestamp, iv: hex(iv) })
    holds(`token of ${name}`, sealed.toString('hex') === token)
    holds(`text of ${name}`, open(key, place, hex(token)).toString('hex') === plaintext)
  }
  const place: EnvelopeContext = { namespace: 7n, id: 'a', version: 1, column: 'content' }
  const token = seal(key, place, Buffer.from('text'))
  const others: Partial<EnvelopeContext>[] = [
    { namespace: 8n },
    { id: 'b' },
    { version: 2 },
    { column: 'tags' },
    { id: '', version: 1 },
  ]
  for (const other of others) {
    refuses(`another place ${Object.keys(other).join()}`, () => open(key, { ...place, ...other }, token))
  }
  for (const bad of damaged(token)) refuses(`token ${bad.toString('hex')}`, () => open(key, place, bad))
  // Under another id the same bytes are the same key, and not the one that the token names.
  const bytes = randomBytes(64)
  const named = seal(new EnvelopeKey(5, bytes), place, Buffer.from('text'))
  refuses('another key id', () => open(new EnvelopeKey(6, bytes), place, named))
  const [secret, ...rest] = [fernet.secret]
  const fernetKey = parseFernetKey(secret ?? String(rest))
  for (const { token: text, now, iv, text: plain } of fernet.generate) {
    const options = { nowSeconds: now, iv: hex(iv) }
    holds('Fernet token', sealFernet(fernetKey, Buffer.from(plain), options) === text)
  }
  for (const { token: text, now, ttlSeconds, text: plain } of fernet.verify) {
    const opened = openFernet(fernetKey, text, { nowSeconds: now, ttlSeconds })
    holds('Fernet text', opened.toString() === plain)
  }
  for (const { token: text, now, ttlSeconds, why } of fernet.invalid) {
    refuses(`Fernet: ${why}`, () => openFernet(fernetKey, text, { nowSeconds: now, ttlSeconds }))
  }
  const good = Buffer.from(fernet.generate[0]?.token ?? '', 'base64url')
  for (const bad of damaged(good)) {
    const text = bad.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
    refuses('a changed Fernet token', () => openFernet(fernetKey, text))
  }
  refuses('another spelling', () => openFernet(fernetKey, `${fernet.generate[0]?.token ?? ''}=`))
  refuses('a Fernet key of 31 bytes', () => parseFernetKey(Buffer.alloc(31).toString('base64url')))
}

const material = {
  namespace: BigInt(hierarchy.namespace),
  salt: hex(hierarchy.namespaceSalt),
  epochs: [{ epoch: 1, secret: hex(hierarchy.epochSecret) }] as const,
}
const ringOf = (...keyBytes: Buffer[]): Keyring =>
  new Keyring(parseRootKeys(keyBytes.map((bytes) => bytes.toString('base64')).join(' ')))

function keys(): void {
  holds('id of the root key', rootKeyId(hex(hierarchy.rootKey)) === hierarchy.rootKeyId)
  const own = ringOf(hex(hierarchy.rootKey)).namespace(material)
  const { id, version } = hierarchy.context
  const wrapped = hex(hierarchy.wrapped)
  const key = own.openContentKey(contentKeySlot(id, version), wrapped)
  const [sentence] = envelope.cases
  const place = { namespace: 7n, id, version, column: 'content' }
  holds('wrapped key', open(key, place, hex(sentence?.token ?? '')).toString('hex') === sentence?.plaintext)
  const index = hex(hierarchy.wrappedIndexKey)
  holds('index key', own.openIndexKey(index).toString('hex') === hierarchy.indexKey)
  const record = own.recordKey('connector', hierarchy.connectorRecord).bytes.toString('hex')
  holds('record key', record === hierarchy.connectorKey)
  refuses('an index key as a content key', () => own.openContentKey(contentKeySlot('namespace', 0), index))
  refuses('a content key as an index key', () => own.openIndexKey(wrapped))
  refuses('a key of another memory', () => own.openContentKey(contentKeySlot('b', version), wrapped))
  refuses('a key of another version', () => own.openContentKey(contentKeySlot(id, 9), wrapped))
  const { writingKeyId } = ringOf(hex(hierarchy.rootKey))
  const other = randomBytes(32)
  const changes = [
    ['namespace', { ...material, namespace: 8n }],
    ['salt', { ...material, salt: other }],
    ['epoch secret', { ...material, epochs: [{ epoch: 1, secret: other }] as const }],
  ] as const
  // One ring for all: what is cached of one must not serve another.
  const ring = ringOf(hex(hierarchy.rootKey))
  ring.namespace(material).openIndexKey(index)
  for (const [what, changed] of changes) {
    refuses(`a key under another ${what}`, () => ring.namespace(changed).openIndexKey(index))
  }
  refuses('a key of another ring', () => ringOf(other).namespace(material).openIndexKey(index))
  const moved = ringOf(other, hex(hierarchy.rootKey)).namespace(material)
  const again = moved.rewrap(indexKeySlot, index)
  holds('a key wrapped anew', again !== undefined && again.keyId !== writingKeyId)
  holds('the same key', moved.openIndexKey(again?.token ?? index).toString('hex') === hierarchy.indexKey)
  const short = own.newIndexKey()
  holds('a new key', own.openIndexKey(short.wrapped.token).equals(short.key))
}

function wraps(): void {
  const [one, two] = [ringOf(randomBytes(32)), ringOf(randomBytes(32))]
  const check = one.createKeyCheck()
  one.verifyKeyCheck(check)
  refuses('the check of another key', () => two.verifyKeyCheck(check))
  for (const bad of damaged(check)) refuses('a changed key check', () => one.verifyKeyCheck(bad))
  const bytes = randomBytes(32)
  const ring = ringOf(bytes)
  const checkKey = new EnvelopeKey(
    rootKeyId(bytes),
    deriveKey(bytes, 'mindglue/key-check/v1', 64),
  )
  const place = { namespace: 0n, id: 'installation', version: 0, column: 'key-check' }
  ring.verifyKeyCheck(seal(checkKey, place, Buffer.from('mindglue key check')))
  refuses('another text under the check key', () =>
    ring.verifyKeyCheck(seal(checkKey, place, Buffer.from('something else'))),
  )
  for (const changed of [{ id: 'other' }, { column: 'content' }, { version: 1 }, { namespace: 1n }]) {
    const token = seal(checkKey, { ...place, ...changed }, Buffer.from('mindglue key check'))
    refuses('a check of another place', () => ring.verifyKeyCheck(token))
  }
  const own = one.namespace(material)
  const credential = sealCredential(own, 'connector', 'a', Buffer.from('secret'))
  holds('credential', openCredential(own, 'connector', 'a', credential).toString() === 'secret')
  refuses('another record', () => openCredential(own, 'connector', 'b', credential))
  refuses('another purpose', () => openCredential(own, 'webhook', 'a', credential))
  const elsewhere = one.namespace({ ...material, namespace: 8n })
  refuses('another namespace', () => openCredential(elsewhere, 'connector', 'a', credential))
  for (const bad of damaged(credential)) {
    refuses('a changed credential', () => openCredential(own, 'connector', 'a', bad))
  }
}

function hashes(): void {
  const key = randomBytes(32)
  const mac = (...parts: readonly string[]) => createHmac('sha256', key).update(parts.join('')).digest()
  holds('term', hashTerm(key, 'boat') === mac('term|boat').readBigInt64BE(0))
  const index = blindIndex(key, 'speaker', 'ada')
  holds('blind index', index.equals(mac('blind|speaker|ada').subarray(0, 16)))
  const record = { namespace: 7n, generation: 1, epochs: material.epochs }
  const formatted = formatRecord(record)
  holds('keystore record', parseRecord(formatted)?.generation === 1)
  const text = formatted.toString()
  const rotten = [
    text.replace('"generation":1', '"generation":2'),
    text.replace('"namespace":"7"', '"namespace":"8"'),
    text.replace('"epoch":1', '"epoch":3'),
    text.replace(/"checksum":"[0-9a-f]{8}/u, '"checksum":"00000000'),
  ]
  for (const each of rotten) holds(`rotten record ${each}`, parseRecord(Buffer.from(each)) === undefined)
}

const settings: NamespaceSettings = {
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
const plain: NamespaceSettings = { ...settings, keys: undefined, profile: 'off' }

function rows(): void {
  const elsewhere = { ...settings, namespace: 8n }
  const name = writeEntityName(settings, 5n, 'Ada')
  holds('name', readEntityName(settings, name) === 'Ada')
  refuses('another entity’s name', () => readEntityName(settings, { ...name, entity: 6n }))
  refuses('a name of another namespace', () => readEntityName(elsewhere, name))
  refuses('a plain name', () => readEntityName(settings, { ...name, key_token: null }))
  refuses('a name in a plain namespace', () => readEntityName(plain, name))
  const second = writeEntityName(settings, 6n, 'Bob')
  refuses('a name under another key', () => readEntityName(settings, { ...name, name: second.name }))
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
  refuses('no key', () => readFields(settings, { ...stored, key_token: null }).decode('content', token))
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
  refuses('a plain vector', () => openVector(early, { ...stored, token: Buffer.alloc(8), key_token: null }, 2))
  const mark = sealMark(settings, 'g', { tag: 'home' })
  holds('mark', 'tag' in openMark(settings, 'g', mark))
  refuses('another grant’s mark', () => openMark(settings, 'h', mark))
  refuses('a mark of another namespace', () => openMark(elsewhere, 'g', mark))
  refuses('a mark under another key', () => openMark({ ...settings, indexKey: randomBytes(32) }, 'g', mark))
}

async function files(): Promise<void> {
  const pair = generateKeyPair()
  const text = Buffer.alloc(chunkBytes * 2 + 100, 'a')
  const sealed = await all(sealTo(pair.publicKey, [text]))
  holds('sealed file', (await all(openSealed(pair.secretKey, [sealed]))).equals(text))
  const header = 42
  const chunk = chunkBytes + 16
  const parts = [
    sealed.subarray(0, header),
    sealed.subarray(header, header + chunk),
    sealed.subarray(header + chunk, header + 2 * chunk),
    sealed.subarray(header + 2 * chunk),
  ] as const
  const wrong: Readonly<Record<string, readonly Buffer[]>> = {
    swapped: [parts[0], parts[2], parts[1], parts[3]],
    cut: [parts[0], parts[1], parts[2]],
    'cut inside': [sealed.subarray(0, -50)],
    extended: [sealed, Buffer.from('more')],
    'another version': [Buffer.concat([sealed.subarray(0, 9), Buffer.of(2), sealed.subarray(10)])],
    'no such file': [Buffer.from('plain')],
    changed: [Buffer.concat([sealed.subarray(0, 60), Buffer.of(1, 2, 3), sealed.subarray(63)])],
  }
  for (const [name, source] of Object.entries(wrong)) await refusesFile(name, pair.secretKey, source)
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

function cursors(): void {
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
  for (const other of others) refuses('a cursor of another listing', () => openCursor(key, other, cursor))
  refuses('a cursor of another key', () => openCursor(randomBytes(32), binding, cursor))
  for (const bad of damaged(Buffer.from(cursor, 'base64url'))) {
    refuses('a changed cursor', () => openCursor(key, binding, bad.toString('base64url')))
  }
}

/** One use, one label, as docs/encryption-format.md has them. */
function labels(): void {
  const expected: Readonly<Record<string, string>> = {
    'mindglue/key-id/v1': keyInfo.rootKeyId,
    'mindglue/key-check/v1': keyInfo.keyCheck,
    'mindglue/namespace/v1|7': keyInfo.namespace(7n),
    'mindglue/wrap/v1': keyInfo.wrap,
    'mindglue/content/v1': keyInfo.content,
    'mindglue/grant-mark/v1': keyInfo.grantMark,
    'mindglue/webhook/v1|a': keyInfo.record('webhook', 'a'),
    'mindglue/installation/cursor/v1': keyInfo.installation('cursor'),
  }
  for (const [label, found] of Object.entries(expected)) holds(`label ${label}`, label === found)
}
