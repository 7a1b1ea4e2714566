/** What probes without a database have in common: what must hold, what must be refused, and the keys of the vectors. */
import { nothing, type Sql } from '../../../src/database/database.ts'
import { Keyring } from '../../../src/crypto/keyring.ts'
import { parseRootKeys } from '../../../src/crypto/root-ring.ts'
import hierarchy from '../../crypto/vectors/hierarchy.json' with { type: 'json' }

export const hex = (text: string): Buffer => Buffer.from(text, 'hex')
export const failures: string[] = []

/** What must be. */
export function holds(name: string, is: boolean): void {
  if (!is) failures.push(name)
}

/** What must be refused, by a typed error of ours. */
export function refuses(name: string, work: () => unknown): void {
  try {
    work()
    failures.push(`${name} is believed`)
  } catch (error) {
    const isTyped = error instanceof Error && error.name === 'AppError'
    if (!isTyped) failures.push(`${name} is refused with ${String(error)}`)
  }
}

/** A token with each of its bytes changed, and cut. */
export const damaged = (token: Uint8Array): Buffer[] => [
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

export const material = {
  namespace: BigInt(hierarchy.namespace),
  salt: hex(hierarchy.namespaceSalt),
  epochs: [{ epoch: 1, secret: hex(hierarchy.epochSecret) }] as const,
}
export const ringOf = (...keyBytes: Buffer[]): Keyring =>
  new Keyring(parseRootKeys(keyBytes.map((bytes) => bytes.toString('base64')).join(' ')))

/** A database that gives these rows for whatever it is sent. */
export function fakeSql(answer: (...query: Parameters<Sql>) => unknown[]): Sql {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is asked here has these rows
  const send = (...query: Parameters<Sql>) => Promise.resolve(answer(...query) as never[])
  return Object.assign(send, {
    dialect: { engine: 'embedded', vectorType: nothing } as const,
    stream: () => () => {
      throw new Error('no stream')
    },
  })
}
