/** Accounts of people: how one is made, entered, left and recovered. Knows no transport and no namespace. */
import { createHash, randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { Sql } from '../database/database.ts'
import { AppError } from '../errors.ts'
import {
  addMail,
  addSession,
  changePassword,
  endSessions,
  findAccount,
  findSession,
  readAccount,
  redeemMail,
  rehashAccount,
  setTotp,
  useTotp,
  type AccountRow,
  type MailKind,
} from './accounts.sql.ts'
import { createAttempts } from './attempts.ts'
import type { Letter, Mail } from './mail.ts'
import { invitationHash } from './member-operations.ts'
import {
  acceptInvitation,
  enterNamespace,
  isInvited,
  listMemberships,
  type Membership,
} from './members.sql.ts'
import type { Passwords } from './passwords.ts'
import { sessionSeconds } from './lifetimes.ts'
import type { Session, SessionTokens } from './session-tokens.ts'
import { base32, totpAddress, totpSecret, totpStep } from './totp.ts'

/** Where somebody calls from; undefined when it is not known. */
export type Address = string | undefined

export interface LogIn {
  readonly email: string
  readonly password: string
  /** Of the second factor. */
  readonly code?: string | undefined
}

export interface Accounts {
  /** Mails a code that makes an account. The same for addresses that have one: that code makes a new password. */
  signUp(email: string, from: Address): Promise<void>
  /** Mails a code that makes a new password; nothing to addresses without an account, in the same time. */
  requestReset(email: string, from: Address): Promise<void>
  /** Uses a mailed code up. Ends every session. Throws AppError `unauthenticated` for a wrong code. */
  setPassword(code: string, password: string, from: Address): Promise<void>
  /**
   * A token of a new session. Throws AppError `unauthenticated`, the same for a wrong password and an
   * unknown address, or `rate_limited`.
   */
  logIn(given: LogIn, from: Address): Promise<string>
  /** Whose token it is; undefined when it is none or its session has ended, seen within two seconds. */
  session(token: string): Promise<Session | undefined>
  logOut(session: Session): Promise<void>
  describe(session: Session): Promise<AccountDescription>
  /** Name of the namespace that an invitation opens. Throws `not_found` for one of somebody else, too. */
  accept(session: Session, code: string): Promise<string>
  /** A token for a namespace. Throws AppError `not_found` for one that the account may not enter. */
  tokenFor(session: Session, namespaceName: string): Promise<string>
  /** Ends every session; a token of a new one. */
  changePassword(session: Session, old: string, password: string, from: Address): Promise<string>
  /** A secret for an authenticator; it counts when `confirmTotp` is given a code of it. */
  beginTotp(
    session: Session,
    password: string,
    from: Address,
  ): Promise<{ secret: string; url: string }>
  confirmTotp(session: Session, code: string, from: Address): Promise<void>
  /** Counts a program that introduces itself from there. Throws AppError `rate_limited` for too many. */
  introduceClient(from: Address): Promise<void>
  /** Takes the second factor away. */
  removeTotp(session: Session, password: string, code: string, from: Address): Promise<void>
}

export interface AccountDescription {
  readonly email: string
  readonly hasSecondFactor: boolean
  readonly createdAt: Date
  readonly memberships: readonly Membership[]
}

export interface AccountsOptions {
  /** Whoever has a mailbox may make an account; else only who was invited to a namespace. */
  readonly isOpen: boolean
  readonly inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  readonly passwords: Passwords
  readonly tokens: SessionTokens
  readonly mail: Mail
  /** 32 secret bytes of the installation. */
  readonly totpKey: Uint8Array
  /** Told of letters that could not be sent; the answer does not wait for them, or it would tell. */
  readonly onMailFailure: (error: unknown) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** A revocation acts within five seconds; a look-up is believed for two. */
const freshMs = 2000
const rememberedMax = 10_000
const codeSeconds = 3600
const mailsHourly = 4
const codeBytes = 20

/** One per process. */
export function createAccounts(options: AccountsOptions): Accounts {
  const { inDirectory, passwords, tokens, mail, totpKey } = options
  const now = options.now ?? (() => Date.now())
  const attempts = createAttempts(inDirectory)
  const remembered = new Map<
    string,
    { readonly account: string | undefined; readonly at: number }
  >()

  /** The same work for every address; what is mailed is sent behind the answer. */
  const mailCode = async (email: string, from: Address, isSignUp: boolean): Promise<void> => {
    await attempts.forMail(from)
    const code = randomBytes(codeBytes).toString('base64url')
    const kind = await inDirectory(async (sql) => {
      const found = await findAccount(sql, email, undefined)
      const isWelcome = (await isInvited(sql, email)) || options.isOpen
      const isOpen = isSignUp && isWelcome
      const wanted: MailKind = found === undefined && isOpen ? 'sign-up' : 'reset'
      const limits = { lifeSeconds: codeSeconds, hourlyMax: mailsHourly }
      const isAdded = await addMail(sql, { codeHash: digest(code), kind: wanted, email, ...limits })
      return isAdded && (found !== undefined || isOpen) ? wanted : undefined
    })
    if (kind !== undefined) mail.send(letter(email, kind, code)).catch(options.onMailFailure)
  }

  const startSession = async (account: string, from: Address): Promise<string> => {
    const id = uuidv7()
    const network = attempts.network(from)
    await inDirectory((sql) => addSession(sql, id, account, network, sessionSeconds))
    return await tokens.sign({ id, account })
  }

  const read = async (id: string): Promise<AccountRow> => {
    const row = await inDirectory((sql) => readAccount(sql, id))
    if (row === undefined) throw wrong()
    return row
  }

  /** Somebody at an open session must know the password for what would let him keep the account. */
  const confirm = async (
    session: Session,
    password: string,
    from: Address,
  ): Promise<AccountRow> => {
    const row = await read(session.account)
    const made = await attempts.forLogIn(row.email, from, true)
    if (!(await passwords.verify(password, row.password_hash))) throw wrong()
    await made.right()
    return row
  }

  /** Throws for a wrong code, and for one that was used. */
  const useCode = async (account: string, generation: number, code: string): Promise<number> => {
    const step = totpStep(totpSecret(totpKey, account, generation), code, now())
    if (step === undefined) throw wrong()
    if (!(await inDirectory((sql) => useTotp(sql, account, step)))) throw wrong()
    return step
  }

  return {
    signUp: (email, from) => mailCode(email, from, true),
    requestReset: (email, from) => mailCode(email, from, false),

    async setPassword(code, password, from) {
      const made = await attempts.forCode(from)
      const hash = await passwords.hash(password)
      const account = await inDirectory((sql) => redeemMail(sql, digest(code), uuidv7(), hash))
      if (account === undefined)
        throw wrong('This code is not valid; it may have been used or expired.')
      remembered.clear()
      await made.right()
    },

    async logIn({ email, password, code }, from) {
      const network = attempts.network(from)
      const found = await inDirectory((sql) => findAccount(sql, email, network))
      const made = await attempts.forLogIn(email, from, found?.is_known_network === true)
      const isRight = await passwords.verify(password, found?.password_hash)
      if (found === undefined || !isRight) throw wrong()
      const { id, password_hash: hash, totp_generation: generation } = found
      if (generation !== null) {
        if (code === undefined) throw codeNeeded()
        await useCode(id, generation, code)
      }
      await made.right()
      if (passwords.isOutdated(hash)) {
        const better = await passwords.hash(password)
        await inDirectory((sql) => rehashAccount(sql, id, hash, better))
      }
      return await startSession(id, from)
    },

    async session(token) {
      const session = await tokens.verify(token)
      if (session === undefined) return undefined
      const known = remembered.get(session.id)
      const isFresh = known !== undefined && performance.now() - known.at < freshMs
      const at = performance.now()
      const account = isFresh
        ? known.account
        : await inDirectory((sql) => findSession(sql, session.id))
      remembered.delete(session.id)
      remembered.set(session.id, { account, at: isFresh ? known.at : at })
      const [oldest] = remembered.keys()
      if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest)
      return account === session.account ? session : undefined
    },

    async logOut({ id, account }) {
      await inDirectory((sql) => endSessions(sql, account, id))
      remembered.delete(id)
    },

    async describe({ account }) {
      const row = await read(account)
      const memberships = await inDirectory((sql) => listMemberships(sql, account))
      const hasSecondFactor = row.totp_generation !== null
      return { email: row.email, hasSecondFactor, createdAt: row.created_at, memberships }
    },

    async accept({ account }, code) {
      const name = await inDirectory((sql) => acceptInvitation(sql, invitationHash(code), account))
      if (name !== undefined) return name
      throw new AppError('not_found', 'There is no such invitation for this account.')
    },

    async tokenFor(session, namespaceName) {
      const entry = await inDirectory((sql) => enterNamespace(sql, session, namespaceName))
      if (entry !== undefined) return await tokens.signFor(session, namespaceName)
      throw new AppError('not_found', 'This account has no such namespace.')
    },

    async changePassword(session, old, password, from) {
      const row = await confirm(session, old, from)
      const hash = await passwords.hash(password)
      const { account } = session
      const isChanged = await inDirectory((sql) =>
        changePassword(sql, account, row.password_hash, hash),
      )
      if (!isChanged) throw new AppError('conflict', 'The password was changed meanwhile; log in.')
      remembered.clear()
      return await startSession(account, from)
    },

    async beginTotp(session, password, from) {
      const row = await confirm(session, password, from)
      if (row.totp_generation !== null) throw new AppError('conflict', hasTotp)
      const secret = totpSecret(totpKey, session.account, generationFor(row))
      return { secret: base32(secret), url: totpAddress(secret, row.email) }
    },

    async confirmTotp({ account }, code, from) {
      const row = await read(account)
      if (row.totp_generation !== null) throw new AppError('conflict', hasTotp)
      const made = await attempts.forLogIn(row.email, from, true)
      const generation = generationFor(row)
      const step = await useCode(account, generation, code)
      await inDirectory((sql) => setTotp(sql, account, generation, step))
      await made.right()
    },

    introduceClient: (from) => attempts.forClient(from),

    async removeTotp(session, password, code, from) {
      const row = await confirm(session, password, from)
      if (row.totp_generation === null) return
      const step = await useCode(session.account, row.totp_generation, code)
      await inDirectory((sql) => setTotp(sql, session.account, undefined, step))
    },
  }
}

const hasTotp = 'This account has a second factor; take it away first.'

/**
 * Which secret comes next: a number that the password's hash decides, so that it stays the same between
 * begin and confirm, needs no row, and is another one after a change of the password.
 */
function generationFor({ password_hash: hash }: AccountRow): number {
  return digest(hash).readUInt32BE(0) & 0x7fff_ffff
}

/** One text for all that may be wrong: which it was is not to be learned. */
function wrong(text = 'The e-mail address, the password or the code is wrong.'): AppError {
  return new AppError('unauthenticated', text)
}

/** Told only to who knows the password. */
function codeNeeded(): AppError {
  return new AppError('unauthenticated', 'Send the code of your authenticator as `code` as well.', {
    details: { second_factor: 'required' },
  })
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function letter(to: string, kind: MailKind, code: string): Letter {
  const what = kind === 'sign-up' ? 'choose a password for your account' : 'choose a new password'
  return {
    to,
    subject: kind === 'sign-up' ? 'Your MindGlue account' : 'Your MindGlue password',
    text: `To ${what}, use this code within an hour:\n\n${code}\n\nIf you did not ask for it, do nothing.`,
  }
}
