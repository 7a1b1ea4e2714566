/**
 * Who owns a data directory: one lock file, taken over only from a process that is proved dead.
 * Never by age: a peer stole locks after five minutes and corrupted data of a daemon that slept.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../errors.ts'
import type { DaemonPaths } from './paths.ts'
import { ownIdentity, processState, type ProcessIdentity } from './process-identity.ts'

/** What a lock file holds: JSON, written whole before it gets its name. */
export interface LockRecord extends ProcessIdentity {
  /** Random, new for each candidacy; a token never comes back. */
  readonly token: string
  /** Version of the program, for people. */
  readonly version: string
}

export interface OwnedLock {
  readonly record: LockRecord
  /** False once somebody deleted or replaced the file by hand. */
  isOwn(): boolean
  /** Removes the lock file if it is still this process's own; harmless when called twice. */
  release(): void
}

export type Election =
  | { readonly kind: 'elected'; readonly lock: OwnedLock }
  | { readonly kind: 'held'; readonly holder: LockRecord }

/** A dead chain is as long as the takers that died in the midst of it; beyond this it is a bug. */
const roundsMax = 100
/** Far longer than the two system calls that bind a socket and listen on it may lie apart. */
const listeningWithinMs = 60_000

/** A record for this process's candidacy. */
export function candidate(version: string): LockRecord {
  return { ...ownIdentity(), token: randomBytes(12).toString('hex'), version }
}

/**
 * Tries once to become the owner. Any number of processes may call it at once: at most one holds
 * the lock, and a live holder keeps it. Throws AppError `misconfigured` when the holder is on
 * another machine, so that nobody can say whether it lives, or when the lock cannot be read.
 *
 * A new lock is a hard link, which is exclusive and never shows half a record. A dead lock with
 * token D is replaced by the one process that links `daemon.lock.D.takeover`; if that one dies
 * too, by the one that links the claim named after *its* token, and so on. Tokens never come back,
 * and a claim is removed only after the lock changed, so a slow process whose view is old sees
 * another token in the lock when it looks again after claiming, and withdraws.
 */
export async function elect(paths: DaemonPaths, record: LockRecord): Promise<Election> {
  const draft = `${paths.lock}.${record.token}.draft`
  writeDurably(draft, record)
  try {
    for (let round = 0; round < roundsMax; round++) {
      if (tryLink(draft, paths.lock)) return await elected(paths, record)
      const holder = readLock(paths.lock)
      if (holder === undefined) continue
      if (await isAlive(holder, paths, record)) return { kind: 'held', holder }
      const claim = await claimTakeover(paths, holder.token, draft, record)
      if (claim.kind === 'held') return claim
      if (claim.kind === 'elected') return await elected(paths, record)
    }
  } finally {
    removeIfPresent(draft)
  }
  throw new AppError('unavailable', `The lock ${paths.lock} changed too often; try again.`)
}

type Claim = { kind: 'held'; holder: LockRecord } | { kind: 'elected' } | { kind: 'outdated' }

async function claimTakeover(
  paths: DaemonPaths,
  deadToken: string,
  draft: string,
  record: LockRecord,
): Promise<Claim> {
  const chain: string[] = []
  for (let token = deadToken; chain.length < roundsMax;) {
    const claim = `${paths.lock}.${token}.takeover`
    chain.push(claim)
    if (tryLink(draft, claim)) {
      if (readLock(paths.lock)?.token !== deadToken) {
        removeIfPresent(claim)
        return { kind: 'outdated' }
      }
      // rename() does nothing when both names are links to one file: the lock here is another's.
      renameSync(draft, paths.lock)
      for (const passed of chain) removeIfPresent(passed)
      return { kind: 'elected' }
    }
    const claimant = readLock(claim)
    if (claimant === undefined) return { kind: 'outdated' }
    if (await isAlive(claimant, paths, record)) {
      // Else it claims what was taken meanwhile, and withdraws: it is not the one who holds the lock.
      const isOpen = readLock(paths.lock)?.token === deadToken
      return isOpen ? { kind: 'held', holder: claimant } : { kind: 'outdated' }
    }
    token = claimant.token
  }
  return { kind: 'outdated' }
}

async function elected(paths: DaemonPaths, record: LockRecord): Promise<Election> {
  sweep(paths, record.token)
  await sweepSockets(paths)
  const isOwn = (): boolean => readLock(paths.lock, 'quiet')?.token === record.token
  const release = (): void => {
    if (isOwn()) removeIfPresent(paths.lock)
  }
  return { kind: 'elected', lock: { record, isOwn, release } }
}

/** While a live owner holds the lock no claim is valid, so whatever lies about was left by the dead. */
function sweep(paths: DaemonPaths, ownToken: string): void {
  const prefix = `${basename(paths.lock)}.`
  const directory = dirname(paths.lock)
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(prefix) || name.includes(ownToken)) continue
    const path = join(directory, name)
    const isClaim = name.endsWith('.takeover')
    const draftOwner = name.endsWith('.draft') ? readLock(path, 'quiet') : undefined
    const isDeadDraft =
      draftOwner !== undefined && processState(draftOwner, ownIdentity()) === 'dead'
    if (isClaim || isDeadDraft) removeIfPresent(path)
  }
}

/**
 * Sockets of candidates that were killed: nobody listens. A live one refuses only between its bind() and its
 * listen(), which are one call, so a socket that is older than a minute is past that.
 */
async function sweepSockets(paths: DaemonPaths): Promise<void> {
  if (process.platform === 'win32') return
  const prefix = paths.candidateSocket('')
  const directory = dirname(prefix)
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    const found = path.startsWith(prefix) ? lstatSync(path, { throwIfNoEntry: false }) : undefined
    if (found?.isSocket() !== true || Date.now() - found.mtimeMs < listeningWithinMs) continue
    if ((await probeSocket(path)) === 'refuses') removeIfPresent(path)
  }
}

/** The lock's holder and whether it lives; for status, and to see whether a start is worthwhile. */
export async function inspectLock(
  paths: DaemonPaths,
): Promise<{ readonly holder: LockRecord; readonly alive: boolean } | undefined> {
  const holder = readLock(paths.lock)
  if (holder === undefined) return undefined
  return { holder, alive: await isAlive(holder, paths, ownIdentity()) }
}

async function isAlive(
  holder: LockRecord,
  paths: DaemonPaths,
  own: ProcessIdentity,
): Promise<boolean> {
  const state = processState(holder, own)
  if (state === 'alive' || state === 'dead') return state === 'alive'
  if (state === 'elsewhere') {
    // Same kernel, another container: the holder bound its socket before it took the lock, under
    // the candidate's name and then the final one, and the kernel refuses once that process died.
    const early = await probeSocket(paths.candidateSocket(holder.token))
    const late = early === 'absent' ? await probeSocket(paths.socket) : early
    if (late !== 'absent') return late === 'accepts'
  }
  throw new AppError(
    'misconfigured',
    `The data directory is locked by process ${String(holder.pid)} on ${holder.hostname}, which ` +
      `cannot be seen from here. If it is gone for good, delete ${paths.lock} and start again.`,
  )
}

/** Whether a process listens: `refuses` proves that the one that bound it is gone. */
export async function probeSocket(path: string): Promise<'accepts' | 'refuses' | 'absent'> {
  return await new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve('accepts')
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve('refuses')
      // EAGAIN: the backlog of a stopped process is full; EACCES: somebody else's. Both live.
      else resolve(error.code === 'ENOENT' ? 'absent' : 'accepts')
    })
  })
}

function readLock(path: string, whenBroken: 'throw' | 'quiet' = 'throw'): LockRecord | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  const record = parseLock(text)
  if (record === undefined && whenBroken === 'throw') {
    throw new AppError(
      'misconfigured',
      `${path} cannot be read as a lock. If no mindglue process runs, delete it and start again.`,
    )
  }
  return record
}

function parseLock(text: string): LockRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const fields = new Map<string, unknown>(Object.entries(value))
  const pid = fields.get('pid')
  const word = (name: string): string | undefined => {
    const found = fields.get(name)
    return typeof found === 'string' ? found : undefined
  }
  const token = word('token')
  if (typeof pid !== 'number' || token === undefined || !/^[0-9a-f]{24}$/u.test(token)) {
    return undefined
  }
  return {
    pid,
    token,
    startedAt: word('startedAt') ?? '',
    bootId: word('bootId') ?? '',
    pidNamespace: word('pidNamespace') ?? '',
    hostname: word('hostname') ?? '',
    version: word('version') ?? '',
  }
}

/** Synced before it is linked: after a power cut a lock is absent or whole, never empty. */
function writeDurably(path: string, record: LockRecord): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, `${JSON.stringify(record)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    if (hasCode(error, 'EPERM') || hasCode(error, 'ENOTSUP') || hasCode(error, 'ENOSYS')) {
      throw new AppError(
        'misconfigured',
        `The file system of ${dirname(to)} has no hard links, so it cannot be locked safely; ` +
          'choose another directory with MINDGLUE_DATA_DIR.',
        { cause: error },
      )
    }
    throw error
  }
}

function removeIfPresent(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
