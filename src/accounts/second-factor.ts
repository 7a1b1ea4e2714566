/** The second factor: set up, asked for, taken away; and the codes for who lost the authenticator. */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { deriveKey, keyInfo } from '../crypto/derive.ts'
import type { Sql } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { setTotp, useRecoveryCode, useTotp, type AccountRow } from './accounts.sql.ts'
import type { Attempt, Attempts } from './attempts.ts'
import { codeNeeded, wrong } from './refusals.ts'
import { base32, totpAddress, totpSecret, totpStep } from './totp.ts'

const recoveryCodes = 10
/** 50 bits: sixteen characters of base32 are 80 and too many to type, ten are enough for who may try ten times. */
const recoveryCharacters = 10
const recoveryBytes = 7

/** What is asked of an account before its code is. */
export type Guarded = Pick<AccountRow, 'id' | 'password_hash' | 'totp_generation'>

export interface SecondFactor {
  /**
   * The second step of `made`, whose password was right. How many recovery codes are left when one was used.
   * Throws AppError `unauthenticated` for a code that is missing, wrong or used, or `rate_limited`.
   */
  check(account: Guarded, code: string | undefined, made: Attempt): Promise<number | undefined>
  /** A secret for an authenticator, the same until it is confirmed. Throws `conflict` where there is a factor. */
  begin(account: AccountRow): { readonly secret: string; readonly url: string }
  /** From now on asked for. The recovery codes, which nobody is told again. Throws as `check` and `begin` do. */
  confirm(account: AccountRow, code: string): Promise<readonly string[]>
}

export interface SecondFactorOptions {
  readonly inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  readonly attempts: Attempts
  /** 32 secret bytes of the installation. */
  readonly key: Uint8Array
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export function createSecondFactor(options: SecondFactorOptions): SecondFactor {
  const { inDirectory, attempts, key, now } = options
  const recoveryKey = deriveKey(key, keyInfo.recoveryCode, 32)
  const hashOf = (account: string, code: string): Buffer =>
    createHmac('sha256', recoveryKey)
      .update(`${account}|${code.toUpperCase().replaceAll(/[\s-]/gu, '')}`)
      .digest()

  /** Throws for a wrong code, and for one that was used. */
  const useCode = async (account: string, generation: number, code: string): Promise<number> => {
    const step = totpStep(totpSecret(key, account, generation), code, now())
    if (step === undefined) throw wrong()
    if (!(await inDirectory((sql) => useTotp(sql, account, step)))) throw wrong()
    return step
  }
  const recover = async (account: string, code: string): Promise<number> => {
    const left = await inDirectory((sql) => useRecoveryCode(sql, account, hashOf(account, code)))
    if (left === undefined) throw wrong()
    return left
  }

  return {
    async check({ id, password_hash: hash, totp_generation: generation }, code, made) {
      if (generation === null) return undefined
      if (code === undefined) {
        // Whoever is asked in two steps has made no mistake in the first.
        await made.right()
        throw codeNeeded()
      }
      const tried = await attempts.forFactor(id, hash)
      const left = /^\d{6}$/u.test(code)
        ? void (await useCode(id, generation, code))
        : await recover(id, code)
      await tried.right()
      return left
    },

    begin(account) {
      if (account.totp_generation !== null) throw hasFactor()
      const secret = totpSecret(key, account.id, nextGeneration(account))
      return { secret: base32(secret), url: totpAddress(secret, account.email) }
    },

    async confirm(account, code) {
      const { id, password_hash: hash } = account
      if (account.totp_generation !== null) throw hasFactor()
      const tried = await attempts.forFactor(id, hash)
      const generation = nextGeneration(account)
      const step = await useCode(id, generation, code)
      const codes = Array.from({ length: recoveryCodes }, newRecoveryCode)
      const recoveryHashes = codes.map((each) => hashOf(id, each))
      await inDirectory((sql) => setTotp(sql, id, { generation, step, recoveryHashes }))
      await tried.right()
      return codes
    },
  }
}

/** As it is typed: two groups of five. */
function newRecoveryCode(): string {
  const text = base32(randomBytes(recoveryBytes)).slice(0, recoveryCharacters)
  return `${text.slice(0, 5)}-${text.slice(5)}`
}

/**
 * Which secret comes next: a number that stays the same between begin and confirm, needs no row, and never
 * comes back, since the step goes on with each code that was used and the first one is at the confirmation.
 */
function nextGeneration({ password_hash: hash, totp_step: step }: AccountRow): number {
  return createHash('sha256').update(`${hash}|${step}`).digest().readUInt32BE(0) & 0x7fff_ffff
}

function hasFactor(): AppError {
  return new AppError('conflict', 'This account has a second factor; take it away first.')
}
