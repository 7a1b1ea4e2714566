/**
 * Cost of the formats beside their baselines, measured in turns in one process so that a busy machine
 * slows all of them alike. Run: `node bench/crypto.ts` (Node 22.18 or newer reads TypeScript).
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
} from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { openCredential, sealCredential } from '../src/crypto/credentials.ts'
import { open, seal, type EnvelopeContext } from '../src/crypto/envelope.ts'
import { openFernet, parseFernetKey, sealFernet } from '../src/crypto/fernet.ts'
import { Keyring } from '../src/crypto/keyring.ts'
import { contentKeySlot } from '../src/crypto/namespace-keys.ts'
import { rootKeyId } from '../src/crypto/root-ring.ts'
import { hashTerms } from '../src/crypto/term-hash.ts'
import { oracleOpen, oracleSeal } from '../test/crypto/fernet-oracle.ts'

interface Candidate {
  readonly name: string
  /** Calls a round: slow ones get fewer, so that a round of each takes about as long. */
  readonly calls: number
  readonly encrypt: () => unknown
  readonly decrypt: () => unknown
}

const rounds = 15
const root = randomBytes(32)
const keyring = new Keyring([{ keyId: rootKeyId(root), bytes: root }])
const namespace = keyring.namespace({
  namespace: 7n,
  salt: randomBytes(32),
  epochs: [{ epoch: 1, secret: randomBytes(32) }],
})
const id = '01935b7e-0000-7000-8000-000000000001'
const slot = contentKeySlot(id, 1)
const { key, wrapped } = namespace.newContentKey(slot)
const place: EnvelopeContext = { namespace: 7n, id, version: 1, column: 'content' }

/** The bare primitives, without key derivation, context or framing: the floor for any format. */
function bareCandidates(plain: Buffer): Candidate[] {
  const secret = createSecretKey(randomBytes(32))
  const iv = randomBytes(16)
  const encrypt = () => {
    const cipher = createCipheriv('aes-256-cbc', secret, iv)
    return Buffer.concat([cipher.update(plain), cipher.final()])
  }
  const ciphertext = encrypt()
  const decrypt = () => {
    const decipher = createDecipheriv('aes-256-cbc', secret, iv)
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  }
  const authenticate = (bytes: Buffer) => createHmac('sha256', secret).update(bytes).digest()
  return [
    { name: 'node AES-256-CBC, no MAC', calls: 1000, encrypt, decrypt },
    {
      name: 'node AES-256-CBC + HMAC-SHA256',
      calls: 1000,
      encrypt: () => authenticate(encrypt()),
      decrypt: () => [authenticate(ciphertext), decrypt()],
    },
  ]
}

function candidatesFor(plain: Buffer): Candidate[] {
  const fernetText = randomBytes(32).toString('base64url') + '='
  const fernetKey = parseFernetKey(fernetText)
  const message = plain.toString('latin1')
  const oracleToken = oracleSeal(fernetText, message)
  const fernetToken = sealFernet(fernetKey, plain)
  const token = seal(key, place, plain)
  const credential = sealCredential(namespace, 'connector', id, plain)
  return [
    ...bareCandidates(plain),
    {
      name: '0xC0 (envelope.ts)',
      calls: 1000,
      encrypt: () => seal(key, place, plain),
      decrypt: () => open(key, place, token),
    },
    {
      name: '0xC0 + content key made / unwrapped',
      calls: 500,
      encrypt: () => seal(namespace.newContentKey(slot).key, place, plain),
      decrypt: () => open(namespace.openContentKey(slot, wrapped.token), place, token),
    },
    {
      name: 'Fernet 0x80 (fernet.ts)',
      calls: 1000,
      encrypt: () => sealFernet(fernetKey, plain),
      decrypt: () => openFernet(fernetKey, fernetToken),
    },
    {
      name: 'Fernet 0x80 (npm fernet)',
      calls: 50,
      encrypt: () => oracleSeal(fernetText, message),
      decrypt: () => oracleOpen(fernetText, oracleToken),
    },
    {
      name: 'credential (NaCl secretbox)',
      calls: 300,
      encrypt: () => sealCredential(namespace, 'connector', id, plain),
      decrypt: () => openCredential(namespace, 'connector', id, credential),
    },
  ]
}

/** Times of single calls: a call that loses the processor spoils itself, not the median. */
function timeCalls(work: () => unknown, calls: number, samples: number[]): void {
  for (let call = 0; call < calls; call += 1) {
    const start = performance.now()
    work()
    samples.push((performance.now() - start) * 1000)
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN
}

function printTable(sizeBytes: number): void {
  const candidates = candidatesFor(Buffer.alloc(sizeBytes, 'MindGlue '))
  const samples = candidates.map(() => ({ encrypt: [] as number[], decrypt: [] as number[] }))
  for (let round = -1; round < rounds; round += 1) {
    for (const [index, { calls, encrypt, decrypt }] of candidates.entries()) {
      // The round before the first warms up.
      const into = round < 0 ? undefined : samples[index]
      timeCalls(encrypt, calls, into?.encrypt ?? [])
      timeCalls(decrypt, calls, into?.decrypt ?? [])
    }
  }
  const rows = candidates.map(({ name }, index) => {
    const { encrypt = [], decrypt = [] } = samples[index] ?? {}
    const both = (share: number) => quantile(encrypt, share) + quantile(decrypt, share)
    return { name, figures: [quantile(encrypt, 0.5), quantile(decrypt, 0.5), both(0.5), both(0.1)] }
  })
  const floor = rows[1]?.figures[2] ?? Number.NaN
  process.stdout.write(
    `\n| ${sizeBytes} B, µs a call | encrypt p50 | decrypt p50 | both p50 | both p10 | ratio |\n`,
  )
  process.stdout.write('|---|--:|--:|--:|--:|--:|\n')
  for (const { name, figures } of rows) {
    const cells = figures.map((figure) => figure.toFixed(1)).join(' | ')
    process.stdout.write(`| ${name} | ${cells} | ${((figures[2] ?? 0) / floor).toFixed(2)} |\n`)
  }
}

function printTermHashes(): void {
  const indexKey = randomBytes(32)
  const imported = createSecretKey(indexKey)
  const terms = Array.from({ length: 1000 }, (_, index) => `term${index}`)
  const bareHmacs = () => terms.map((term) => createHmac('sha256', imported).update(term).digest())
  const [ours, bare]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds * 2; round += 1) {
    timeCalls(() => hashTerms(indexKey, terms), 1, ours)
    timeCalls(bareHmacs, 1, bare)
  }
  const line = (values: readonly number[]) =>
    `p50 ${(quantile(values, 0.5) / 1000).toFixed(2)}, p10 ${(quantile(values, 0.1) / 1000).toFixed(2)}`
  process.stdout.write(`\n1,000 term hashes, ms: ${line(ours)}; bare HMACs: ${line(bare)}\n`)
}

process.stdout.write(`Node ${process.version}, OpenSSL ${process.versions.openssl}\n`)
for (const sizeBytes of [500, 4096]) printTable(sizeBytes)
printTermHashes()
