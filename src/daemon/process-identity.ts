/** Tells one life of a process from another that was given the same number. */
import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Names one process for ever: its number alone is given out again. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot on Linux, a date with seconds elsewhere; compared, never interpreted. */
  readonly startedAt: string
  /** Linux: which boot the ticks count from. */
  readonly bootId: string
  /** Linux: containers that share a directory number their processes independently. */
  readonly pidNamespace: string
  readonly hostname: string
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    startedAt: startTime(process.pid) ?? '',
    bootId: readOr('/proc/sys/kernel/random/boot_id'),
    pidNamespace: linkOr('/proc/self/ns/pid'),
    hostname: hostname(),
  }
}

/**
 * `elsewhere`: another container numbered it, so its number says nothing here. `unknowable`: another
 * machine did. A zombie counts as dead: its files and sockets are closed already.
 */
export function processState(
  identity: ProcessIdentity,
  own: ProcessIdentity,
): 'alive' | 'dead' | 'elsewhere' | 'unknowable' {
  if (identity.bootId !== own.bootId) {
    return identity.hostname === own.hostname ? 'dead' : 'unknowable'
  }
  if (identity.pidNamespace !== own.pidNamespace) return 'elsewhere'
  return startTime(identity.pid) === identity.startedAt ? 'alive' : 'dead'
}

/** When the process started; undefined when it is gone. */
function startTime(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined
  if (process.platform === 'linux') return linuxStartTime(pid)
  return process.platform === 'win32' ? windowsStartTime(pid) : posixStartTime(pid)
}

/** proc(5): field 2 is the name in parentheses and may hold any character; 3 is state, 22 start. */
function linuxStartTime(pid: number): string | undefined {
  const stat = readOr(`/proc/${String(pid)}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state] = fields
  if (state === undefined || state === '' || state === 'Z' || state === 'X') return undefined
  return fields[19]
}

function posixStartTime(pid: number): string | undefined {
  try {
    const text = execFileSync('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    }).trim()
    return text === '' || text.startsWith('Z') ? undefined : text.replace(/^\S+\s+/u, '')
  } catch {
    // ps ends with 1 when there is no such process
    return undefined
  }
}

/** Windows elects by its pipe, which the kernel frees; the number is for people only. */
function windowsStartTime(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
    return 'running'
  } catch {
    return undefined
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function linkOr(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
