/** Where the instructions of a namespace belong, and what is kept of people's programs under way. */
import { createHash, randomBytes } from 'node:crypto'
import { createClients } from '../../../src/accounts/clients.ts'
import { deriveKey } from '../../../src/crypto/derive.ts'
import { EnvelopeKey, open, seal } from '../../../src/crypto/envelope.ts'
import { contentKeySlot } from '../../../src/crypto/namespace-keys.ts'
import { compileSql, type Sql } from '../../../src/database/database.ts'
import { decodeInstructions, encodeInstructions } from '../../../src/namespaces/instructions.ts'
import { plain, settings } from './place-probes.ts'
import { fakeSql, holds, refuses } from './verdict.ts'

export function instructions(): void {
  const stored = encodeInstructions(settings, 'Keep it.')
  const place = { namespace: 7n, id: 'instructions', version: 0, column: 'instructions' }
  holds('instructions', decodeInstructions(settings, stored) === 'Keep it.')
  // As docs/encryption-format.md says where they are.
  const token = stored.token ?? Buffer.alloc(0)
  const key = settings.keys?.openContentKey(contentKeySlot('instructions', 0), token)
  holds(
    'instructions in their place',
    key !== undefined && open(key, place, stored.instructions).toString() === 'Keep it.',
  )
  refuses('instructions of another namespace', () =>
    decodeInstructions({ ...settings, namespace: 8n }, stored),
  )
  const other = encodeInstructions(settings, 'Other words.')
  refuses('instructions under another key', () =>
    decodeInstructions(settings, { ...stored, instructions: other.instructions }),
  )
  refuses('plain instructions', () =>
    decodeInstructions(settings, { ...stored, key_id: null, epoch: null, token: null }),
  )
  refuses('sealed instructions in a plain namespace', () => decodeInstructions(plain, stored))
}

/** A code or token of a program is found by its hash, and opens in its row as what it is. */
export async function artifacts(): Promise<void> {
  const secret = randomBytes(32)
  const bytes = deriveKey(secret, 'mindglue/artifact/v1', 64)
  const key = new EnvelopeKey(0, bytes)
  const idHash = createHash('sha256').update('RefreshToken|abc').digest()
  const place = { namespace: 0n, id: idHash.toString('hex'), version: 0, column: 'RefreshToken' }
  let sent: readonly unknown[] = []
  let row: { payload: Buffer; is_consumed: boolean } | undefined
  const sql = fakeSql((strings, ...values) => {
    sent = compileSql(strings, values).values
    return [row ?? { put: true }]
  })
  const clients = createClients({
    key: secret,
    inDirectory: <T>(work: (sql: Sql) => Promise<T>) => work(sql),
    documents: 'off',
  })
  const artifact = { kind: 'RefreshToken', id: 'abc' }
  await clients.keep(artifact, { payload: { a: 1 } }, 60, false)
  const [hash, payload = Buffer.alloc(0)] = sent.filter((value) => Buffer.isBuffer(value))
  holds('hash of an artifact', hash?.equals(idHash) === true)
  holds('an artifact in its place', open(key, place, payload).toString() === '{"a":1}')
  const readAs = async (kind: string, id: string, kept: Buffer): Promise<unknown> => {
    row = { payload: kept, is_consumed: false }
    return await clients.read({ kind, id }).catch((error: unknown) => error)
  }
  const isRefused = (found: unknown): boolean => found instanceof Error && found.name === 'AppError'
  const found = await readAs('RefreshToken', 'abc', payload)
  holds('an artifact', JSON.stringify(found) === '{"payload":{"a":1},"isConsumed":false}')
  holds('an artifact of another kind', isRefused(await readAs('AccessToken', 'abc', payload)))
  holds('another artifact', isRefused(await readAs('RefreshToken', 'abd', payload)))
  for (const change of [{ namespace: 7n }, { version: 1 }]) {
    const moved = seal(key, { ...place, ...change }, Buffer.from('{}'))
    holds('an artifact of elsewhere', isRefused(await readAs('RefreshToken', 'abc', moved)))
  }
}
