/** Passwords: slow hashes over a keyed one, a few at a time. Knows no account. */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.ts'

/** What the native module offers; `undefined` where it cannot load. */
export interface Bcrypt {
  hash(input: string, cost: number): Promise<string>
  compare(input: string, hash: string): Promise<boolean>
}

export interface Passwords {
  /** With a tag in front that says how. Throws AppError `unavailable` when too many wait. */
  hash(password: string): Promise<string>
  /** False for a wrong password and for a hash nobody here can read; takes the same time without one. */
  verify(password: string, hash: string | undefined): Promise<boolean>
  /** True for a hash that is not what `hash` would make now. */
  isOutdated(hash: string): boolean
}

const bcryptCost = 12
/** 128 MiB and 0.5 s: as slow as bcrypt and harder for hardware, but more of our memory. */
const scryptShape = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const
const scryptBytes = 32
const saltBytes = 16
const bcryptTag = '$mg-bcrypt$'
const scryptTag = '$mg-scrypt$'
/** Each takes a core for a quarter of a second: more at once would stop everything else. */
const atOnceMax = 2
const waitingMax = 32

/** The native module, or undefined where there is no build of it for this machine. */
export async function loadBcrypt(): Promise<Bcrypt | undefined> {
  try {
    const { hash, compare } = await import('@node-rs/bcrypt')
    return { hash: (input, cost) => hash(input, cost), compare }
  } catch {
    return undefined // scrypt takes its place, as safe and in Node itself
  }
}

/**
 * `pepper`: 32 secret bytes of the installation, so that a copy of the database alone allows no guess.
 * The keyed hash comes first, so that bcrypt's cut at 72 bytes never meets a password: its 48 bytes are
 * 64 characters of base64, without a NUL. `onUnreadable` is told once that hashes of bcrypt are met without it.
 */
export function createPasswords(
  pepper: Uint8Array,
  bcrypt: Bcrypt | undefined,
  onUnreadable: () => void = () => undefined,
): Passwords {
  const inTurn = createTurns()
  let isTold = false
  const keyed = (password: string): string =>
    createHmac('sha384', pepper).update(password.normalize('NFKC')).digest('base64')

  const hashNow = async (password: string): Promise<string> => {
    const input = keyed(password)
    if (bcrypt !== undefined) return bcryptTag + (await bcrypt.hash(input, bcryptCost))
    const salt = randomBytes(saltBytes)
    const derived = await derive(input, salt)
    return `${scryptTag}${salt.toString('base64')}$${derived.toString('base64')}`
  }
  const verifyNow = async (password: string, hash: string): Promise<boolean> => {
    const input = keyed(password)
    if (hash.startsWith(bcryptTag)) {
      if (bcrypt === undefined) {
        if (!isTold) onUnreadable()
        isTold = true
        // The time of anybody else's: a wrong password and no account look the same.
        await derive(input, randomBytes(saltBytes))
        return false
      }
      return await bcrypt.compare(input, hash.slice(bcryptTag.length))
    }
    if (!hash.startsWith(scryptTag)) return false
    const [salt = '', expected = ''] = hash.slice(scryptTag.length).split('$')
    const known = Buffer.from(expected, 'base64')
    const derived = await derive(input, Buffer.from(salt, 'base64'))
    return known.length === derived.length && timingSafeEqual(known, derived)
  }
  /** Of nobody: compared where there is no account, so that both ways do the same work. */
  let nobody: Promise<string> | undefined

  return {
    hash: (password) => inTurn(() => hashNow(password)),
    async verify(password, hash) {
      nobody ??= inTurn(() => hashNow(randomBytes(saltBytes).toString('hex')))
      const known = hash ?? (await nobody)
      const isRight = await inTurn(() => verifyNow(password, known))
      return isRight && hash !== undefined
    },
    isOutdated: (hash) => {
      const current = `${bcryptTag}$2b$${bcryptCost}$`
      return bcrypt === undefined ? !hash.startsWith(scryptTag) : !hash.startsWith(current)
    },
  }
}

function derive(input: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(input, salt, scryptBytes, scryptShape, (error, derived) => {
      if (error) reject(error)
      else resolve(derived)
    })
  })
}

/** Runs at most two at once; others wait in line, and beyond that are sent away. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= atOnceMax) {
      if (waiting.length >= waitingMax) {
        const text = 'Too many people log in at this moment; try again.'
        throw new AppError('unavailable', text, { retryAfterSeconds: 2 })
      }
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      // Who waits takes over the place, so that nobody who comes now goes first.
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
