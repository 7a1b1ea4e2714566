/** What each key, code and label is bound to, by vectors of another program and by values in the wrong place. */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { openCredential, sealCredential } from '../../../src/crypto/credentials.ts'
import { deriveKey, keyInfo } from '../../../src/crypto/derive.ts'
import {
  EnvelopeKey,
  open,
  preAuthenticationEncoding,
  seal,
  type EnvelopeContext,
} from '../../../src/crypto/envelope.ts'
import { openFernet, parseFernetKey, sealFernet } from '../../../src/crypto/fernet.ts'
import { formatRecord, parseRecord } from '../../../src/crypto/keystore-record.ts'
import { contentKeySlot, indexKeySlot } from '../../../src/crypto/namespace-keys.ts'
import { rootKeyId } from '../../../src/crypto/root-ring.ts'
import { blindIndex, hashTerm } from '../../../src/crypto/term-hash.ts'
import envelope from '../../crypto/vectors/envelope.json' with { type: 'json' }
import fernet from '../../crypto/vectors/fernet.json' with { type: 'json' }
import hierarchy from '../../crypto/vectors/hierarchy.json' with { type: 'json' }
import { artifacts, instructions } from './kept-probes.ts'
import { contexts, cursors, files, rows } from './place-probes.ts'
import { damaged, failures, hex, holds, material, refuses, ringOf } from './verdict.ts'

/** Names of what did not hold; empty for the product as it is. */
export async function brokenBindings(): Promise<readonly string[]> {
  const probes: readonly (() => void | Promise<void>)[] = [
    envelopes,
    crafted,
    keys,
    wraps,
    hashes,
    labels,
    rows,
    files,
    cursors,
    contexts,
    instructions,
    artifacts,
  ]
  for (const probe of probes) {
    try {
      await probe()
    } catch (error) {
      failures.push(`${probe.name}: ${String(error)}`)
    }
  }
  return failures.splice(0)
}

function envelopes(): void {
  const key = new EnvelopeKey(0, hex(envelope.contentKey))
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
    refuses(`another place ${Object.keys(other).join()}`, () =>
      open(key, { ...place, ...other }, token),
    )
  }
  for (const bad of damaged(token))
    refuses(`token ${bad.toString('hex')}`, () => open(key, place, bad))
  // Under another id the same bytes are the same key, and not the one that the token names.
  const bytes = randomBytes(64)
  const named = seal(new EnvelopeKey(5, bytes), place, Buffer.from('text'))
  refuses('another key id', () => open(new EnvelopeKey(6, bytes), place, named))
  const fernetKey = parseFernetKey(fernet.secret)
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

/** Tokens that only a holder of the key can make, and that must not open even so. */
function crafted(): void {
  const bytes = hex(envelope.contentKey)
  const key = new EnvelopeKey(0, bytes)
  const place: EnvelopeContext = { namespace: 7n, id: 'a', version: 1, column: 'content' }
  const pieces = ['7', 'a', '1', 'content'].map((piece) => Buffer.from(piece))
  const token = (version: number, block: Buffer): Buffer => {
    const header = Buffer.alloc(29)
    header[0] = version
    const cipher = createCipheriv('aes-256-cbc', bytes.subarray(32), header.subarray(13))
    const body = Buffer.concat([header, cipher.setAutoPadding(false).update(block), cipher.final()])
    const mac = createHmac('sha256', bytes.subarray(0, 32))
    return Buffer.concat([
      body,
      mac.update(preAuthenticationEncoding(pieces)).update(body).digest(),
    ])
  }
  const padded = Buffer.alloc(16, 16)
  holds('a crafted token', open(key, place, token(0xc0, padded)).length === 0)
  refuses('a crafted token of another version', () => open(key, place, token(0xc1, padded)))
  refuses('crafted padding', () => open(key, place, token(0xc0, Buffer.alloc(16, 99))))
  const secret = Buffer.from(fernet.secret, 'base64url')
  const old = (version: number): string => {
    const header = Buffer.alloc(25)
    header[0] = version
    const cipher = createCipheriv('aes-128-cbc', secret.subarray(16), header.subarray(9))
    const body = Buffer.concat([header, cipher.final()])
    const mac = createHmac('sha256', secret.subarray(0, 16)).update(body).digest()
    return Buffer.concat([body, mac]).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
  }
  const fernetKey = parseFernetKey(fernet.secret)
  holds('a crafted Fernet token', openFernet(fernetKey, old(0x80)).length === 0)
  refuses('a crafted Fernet token of another version', () => openFernet(fernetKey, old(0x82)))
}

/** How the namespace of the vectors is stored. */
const form = { profile: 'field', plain_below: null }

function keys(): void {
  holds('id of the root key', rootKeyId(hex(hierarchy.rootKey)) === hierarchy.rootKeyId)
  const own = ringOf(hex(hierarchy.rootKey)).namespace(material)
  const { id, version } = hierarchy.context
  const wrapped = hex(hierarchy.wrapped)
  const key = own.openContentKey(contentKeySlot(id, version), wrapped)
  const [sentence] = envelope.cases
  const place = { namespace: 7n, id, version, column: 'content' }
  holds(
    'wrapped key',
    open(key, place, hex(sentence?.token ?? '')).toString('hex') === sentence?.plaintext,
  )
  const index = hex(hierarchy.wrappedIndexKey)
  holds('index key', own.openIndexKey(form, index).toString('hex') === hierarchy.indexKey)
  const record = own.recordKey('connector', hierarchy.connectorRecord).bytes.toString('hex')
  holds('record key', record === hierarchy.connectorKey)
  refuses('an index key as a content key', () =>
    own.openContentKey(contentKeySlot('namespace', 0), index),
  )
  refuses('a content key as an index key', () => own.openIndexKey(form, wrapped))
  refuses('a key of another memory', () =>
    own.openContentKey(contentKeySlot('b', version), wrapped),
  )
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
  for (const [what, changed] of changes) {
    ring.namespace(material).openIndexKey(form, index)
    refuses(`a key under another ${what}`, () => ring.namespace(changed).openIndexKey(form, index))
  }
  refuses('a key of another ring', () =>
    ringOf(other).namespace(material).openIndexKey(form, index),
  )
  const moved = ringOf(other, hex(hierarchy.rootKey)).namespace(material)
  const again = moved.rewrap(indexKeySlot(form), index)
  holds('a key wrapped anew', again !== undefined && again.keyId !== writingKeyId)
  holds(
    'the same key',
    moved.openIndexKey(form, again?.token ?? index).toString('hex') === hierarchy.indexKey,
  )
  const other32 = own.wrapIndexKey(form, other)
  holds('another index key', own.openIndexKey(form, other32.token).equals(other))
  for (const changed of [
    { ...form, profile: 'off' },
    { ...form, plain_below: 5 },
  ]) {
    refuses('an index key of another form', () => own.openIndexKey(changed, other32.token))
  }
}

function wraps(): void {
  const [one, two] = [ringOf(randomBytes(32)), ringOf(randomBytes(32))]
  const check = one.createKeyCheck()
  one.verifyKeyCheck(check)
  refuses('the check of another key', () => two.verifyKeyCheck(check))
  for (const bad of damaged(check)) refuses('a changed key check', () => one.verifyKeyCheck(bad))
  const bytes = randomBytes(32)
  const ring = ringOf(bytes)
  const checkKey = new EnvelopeKey(rootKeyId(bytes), deriveKey(bytes, 'mindglue/key-check/v1', 64))
  const place = { namespace: 0n, id: 'installation', version: 0, column: 'key-check' }
  ring.verifyKeyCheck(seal(checkKey, place, Buffer.from('mindglue key check')))
  refuses('another text under the check key', () =>
    ring.verifyKeyCheck(seal(checkKey, place, Buffer.from('something else'))),
  )
  for (const changed of [
    { id: 'other' },
    { column: 'content' },
    { version: 1 },
    { namespace: 1n },
  ]) {
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
  const mac = (...parts: readonly string[]) =>
    createHmac('sha256', key).update(parts.join('')).digest()
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
  for (const each of rotten)
    holds(`rotten record ${each}`, parseRecord(Buffer.from(each)) === undefined)
}

/** One use, one label, as docs/encryption-format.md has them. */
function labels(): void {
  const expected: Readonly<Record<string, string>> = {
    'mindglue/key-id/v1': keyInfo.rootKeyId,
    'mindglue/key-check/v1': keyInfo.keyCheck,
    'mindglue/namespace/v1|7': keyInfo.namespace(7n),
    'mindglue/wrap/v1': keyInfo.wrap,
    'mindglue/grant-mark/v1': keyInfo.grantMark,
    'mindglue/artifact/v1': keyInfo.artifact,
    'mindglue/recovery-code/v1': keyInfo.recoveryCode,
    'mindglue/form/v1': keyInfo.form,
    'mindglue/webhook/v1|a': keyInfo.record('webhook', 'a'),
    'mindglue/installation/cursor/v1': keyInfo.installation('cursor'),
  }
  for (const [label, found] of Object.entries(expected)) holds(`label ${label}`, label === found)
}
