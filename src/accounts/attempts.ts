/** Delays for who guesses: by place and account, never a lock that somebody else could cause. */
import { createHash } from 'node:crypto'
import { addressGroup } from '../auth/failed-keys.ts'
import type { Sql } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { forgiveAttempt, takeAttempt, type AttemptLimit } from './accounts.sql.ts'

/** An attempt that was counted before it was made. */
export interface Attempt {
  /** It does not count: who is right never adds to a delay. */
  right(): Promise<void>
}

export interface Attempts {
  /**
   * `isKnown`: this account was entered from there before, or is open there. Throws AppError
   * `rate_limited` with the wait; the account need not exist.
   */
  forLogIn(email: string, from: string | undefined, isKnown: boolean): Promise<Attempt>
  /** For a code of the second factor, from everywhere together. `passwordHash`: a new password begins anew. */
  forFactor(accountId: string, passwordHash: string): Promise<Attempt>
  /** For who asks for a letter: it is never right, since each one is a letter. */
  forMail(from: string | undefined): Promise<void>
  forCode(from: string | undefined): Promise<Attempt>
  /** For a program that comes with a question: each one is a row or two, and may be a look into the network. */
  forClient(from: string | undefined): Promise<void>
  /** A digest of where somebody calls from. */
  network(from: string | undefined): Buffer | undefined
}

/**
 * One place at one account: five typing errors, then 2, 4, 8 … seconds up to a quarter of an hour. Of each
 * limit one attempt is forgotten in every `secondsMax`, so that nobody waits for the errors of last week.
 */
const pair = { free: 5, secondsMax: 900 }
/**
 * One place at all accounts together that were not entered from there before. Who was there before never waits
 * for what others do behind the address of an office.
 */
const place = { free: 30, secondsMax: 900 }
/**
 * One account from everywhere that it was not entered from before. A minute at most: guessing from a
 * thousand places then takes longer than any password is worth, and the owner, who is at a known place,
 * or gets a letter, never waits for it.
 */
const account = { free: 100, secondsMax: 60 }
/**
 * Codes for one account, from everywhere: a million are soon guessed from a thousand places. Only who knows the
 * password can make the owner wait, and a new one, by letter, ends that.
 */
const factor = { free: 10, secondsMax: 900 }
/** Clients of one place: many people's come from one address of a hosted one, so it is thirty a minute at least. */
const client = { free: 60, secondsMax: 2 }
/** All places together whose address is not known: ten times one place, and never long for who is no guesser. */
const unknownPlaces = { free: 300, secondsMax: 60 }

export function createAttempts(
  inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>,
): Attempts {
  const take = async (limits: readonly AttemptLimit[]): Promise<Attempt> => {
    const wait = await inDirectory((sql) => takeAttempt(sql, limits))
    if (wait > 0) {
      const retryAfterSeconds = Math.ceil(wait)
      const text = `Too many attempts. Wait ${retryAfterSeconds} s.`
      throw new AppError('rate_limited', text, { retryAfterSeconds })
    }
    return {
      right: async () => await inDirectory((sql) => forgiveAttempt(sql, limits)),
    }
  }
  const at = (from: string | undefined, kind: string): AttemptLimit[] =>
    from === undefined
      ? [{ key: keyOf(kind, ''), ...unknownPlaces }]
      : [{ key: keyOf(kind, addressGroup(from)), ...place }]
  return {
    forLogIn: (email, from, isKnown) => {
      const where = from === undefined ? '' : addressGroup(from)
      // Where nobody's address is known everybody is at one place: the short delay is for all of them.
      const own = from === undefined ? account : pair
      return take([
        { key: keyOf('pair', where, email), ...own },
        ...(isKnown ? [] : [...at(from, 'place'), { key: keyOf('account', email), ...account }]),
      ])
    },
    forFactor: (id, hash) => take([{ key: keyOf('factor', id, hash), ...factor }]),
    forMail: async (from) => void (await take(at(from, 'mail'))),
    forCode: (from) => take(at(from, 'code')),
    forClient: async (from) => {
      const key = keyOf('client', from === undefined ? '' : addressGroup(from))
      await take([{ key, ...client }])
    },
    network: (from) => (from === undefined ? undefined : keyOf('network', addressGroup(from))),
  }
}

/** 16 bytes: no table can be read back to addresses of people at a glance, and rows stay small. */
function keyOf(...parts: readonly string[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest().subarray(0, 16)
}
