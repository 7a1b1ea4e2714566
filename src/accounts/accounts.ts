/** Accounts of people: how one is made, entered, left and recovered. Knows no transport and no namespace. */
import { createHash, randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { Sql } from '../database/database.ts'
import { AppError } from '../errors.ts'
import {
  addMail,
  addSession,
  changePassword,
  deleteAccount,
  dropTotp,
  endSessions,
  findAccount,
  findSession,
  listSessions,
  readAccount,
  redeemMail,
  rehashAccount,
  type AccountRow,
  type MailKind,
  type SessionRow,
} from './accounts.sql.ts'
import { createAttempts, type Attempt } from './attempts.ts'
import type { Leave, LeavingWish } from './leaving.ts'
import { changeLetter, codeLetter } from './letters.ts'
import type { Outbox } from './outbox.ts'
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
import { wrong } from './refusals.ts'
import { createSecondFactor, type Guarded } from './second-factor.ts'
import type { Session, SessionTokens } from './session-tokens.ts'

/** Where somebody calls from; undefined when it is not known. */
export type Address = string | undefined

/** What somebody knows and has. */
export interface Proof {
  readonly password: string
  /** Of the second factor, or a recovery code. */
  readonly code?: string | undefined
}

export interface LogIn extends Proof {
  readonly email: string
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
  /** Sessions that go on, the newest first. */
  sessions(session: Session): Promise<readonly SessionRow[]>
  /** Ends a session of the account; without `id` every one. */
  logOut(session: Session, id: string | undefined): Promise<void>
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
  /** From now on a code is asked for. The recovery codes, which are told this once. */
  confirmTotp(session: Session, code: string): Promise<readonly string[]>
  /** Counts a program that introduces itself from there. Throws AppError `rate_limited` for too many. */
  introduceClient(from: Address): Promise<void>
  /** Takes the second factor away. */
  removeTotp(session: Session, proof: Proof, from: Address): Promise<void>
  /** The operator does, for who lost it. Id of the account; throws AppError `not_found` where there is none. */
  recover(email: string): Promise<string>
  /** Deletes the account, out of every namespace. Throws as `Leave` does. */
  remove(session: Session, proof: Proof, wish: LeavingWish, from: Address): Promise<void>
}

export interface AccountDescription {
  readonly email: string
  readonly hasSecondFactor: boolean
  /** How many are left. */
  readonly recoveryCodes: number
  readonly createdAt: Date
  readonly memberships: readonly Membership[]
}

export interface AccountsOptions {
  /** Whoever has a mailbox may make an account; else only who was invited to a namespace. */
  readonly isOpen: boolean
  readonly inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  readonly passwords: Passwords
  readonly tokens: SessionTokens
  readonly post: Outbox['post']
  readonly leave: Leave
  /** 32 secret bytes of the installation. */
  readonly totpKey: Uint8Array
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
  const { inDirectory, passwords, tokens, post, totpKey } = options
  const now = options.now ?? (() => Date.now())
  const attempts = createAttempts(inDirectory)
  const factor = createSecondFactor({ inDirectory, attempts, key: totpKey, now })
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
    if (kind !== undefined) post(codeLetter(email, kind, code))
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
    { password, code }: Proof,
    from: Address,
    isCodeAsked: boolean,
  ): Promise<AccountRow> => {
    const row = await read(session.account)
    const made = await attempts.forLogIn(row.email, from, true)
    if (!(await passwords.verify(password, row.password_hash))) throw wrong()
    if (isCodeAsked) await checkCode(row, code, made)
    await made.right()
    return row
  }

  const checkCode = async (
    account: Guarded & { readonly email: string },
    code: string | undefined,
    made: Attempt,
  ): Promise<void> => {
    const left = await factor.check(account, code, made)
    if (left !== undefined) post(changeLetter(account.email, 'recovery code used'))
  }

  return {
    signUp: (email, from) => mailCode(email, from, true),
    requestReset: (email, from) => mailCode(email, from, false),

    async setPassword(code, password, from) {
      const made = await attempts.forCode(from)
      const hash = await passwords.hash(password)
      const newId = uuidv7()
      const account = await inDirectory((sql) => redeemMail(sql, digest(code), newId, hash))
      if (account === undefined)
        throw wrong('This code is not valid; it may have been used or expired.')
      remembered.clear()
      await made.right()
      if (account !== newId) post(changeLetter((await read(account)).email, 'password'))
    },

    async logIn({ email, password, code }, from) {
      const network = attempts.network(from)
      const found = await inDirectory((sql) => findAccount(sql, email, network))
      const made = await attempts.forLogIn(email, from, found?.is_known_network === true)
      const isRight = await passwords.verify(password, found?.password_hash)
      if (found === undefined || !isRight) throw wrong()
      const { id, password_hash: hash } = found
      await checkCode({ ...found, email }, code, made)
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

    sessions: ({ account }) => inDirectory((sql) => listSessions(sql, account)),

    async logOut({ account }, id) {
      await inDirectory((sql) => endSessions(sql, account, id))
      if (id === undefined) remembered.clear()
      else remembered.delete(id)
    },

    async describe({ account }) {
      const row = await read(account)
      const memberships = await inDirectory((sql) => listMemberships(sql, account))
      return {
        email: row.email,
        hasSecondFactor: row.totp_generation !== null,
        recoveryCodes: row.recovery_codes,
        createdAt: row.created_at,
        memberships,
      }
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
      const row = await confirm(session, { password: old }, from, false)
      const hash = await passwords.hash(password)
      const { account } = session
      const isChanged = await inDirectory((sql) =>
        changePassword(sql, account, row.password_hash, hash),
      )
      if (!isChanged) throw new AppError('conflict', 'The password was changed meanwhile; log in.')
      remembered.clear()
      post(changeLetter(row.email, 'password'))
      return await startSession(account, from)
    },

    beginTotp: async (session, password, from) =>
      factor.begin(await confirm(session, { password }, from, false)),

    async confirmTotp({ account }, code) {
      const row = await read(account)
      const codes = await factor.confirm(row, code)
      post(changeLetter(row.email, 'factor set'))
      return codes
    },

    introduceClient: (from) => attempts.forClient(from),

    async removeTotp(session, proof, from) {
      const { email, totp_generation: generation } = await confirm(session, proof, from, true)
      if (generation === null) return
      await inDirectory((sql) => dropTotp(sql, session.account))
      post(changeLetter(email, 'factor removed'))
    },

    async recover(email) {
      const found = await inDirectory((sql) => findAccount(sql, email, undefined))
      if (found === undefined || found.totp_generation === null) {
        throw new AppError('not_found', 'There is no account of this address with a second factor.')
      }
      await inDirectory((sql) => dropTotp(sql, found.id))
      post(changeLetter(email, 'factor removed by the operator'))
      return found.id
    },

    async remove(session, proof, wish, from) {
      const { email } = await confirm(session, proof, from, true)
      await options.leave(session, wish)
      const isGone = await inDirectory((sql) => deleteAccount(sql, session.account))
      if (!isGone) throw new AppError('conflict', 'A namespace was entered meanwhile; try again.')
      remembered.clear()
      post(changeLetter(email, 'deleted'))
    },
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
