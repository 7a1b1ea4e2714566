/** Where a data directory keeps its lock, socket, log and database. Knows the limits of socket paths. */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../errors.ts'

export interface DaemonPaths {
  /** Canonical path, so that two spellings of one directory mean one daemon. */
  readonly directory: string
  readonly lock: string
  /** Unix socket (mode 0600 in a directory of mode 0700), or the name of a pipe on Windows. */
  readonly socket: string
  /** Where sockets are bound before the election; shorter than `socket`, same file system. */
  readonly candidateSocket: (token: string) => string
  readonly log: string
  /** Directory of the embedded database. */
  readonly database: string
}

/** `sun_path` holds 104 bytes on macOS and BSD, 108 on Linux, with its closing NUL. */
const socketPathBytesMax = 103

/**
 * Makes the data directory (0700) when it is missing and returns its layout. Throws AppError
 * `misconfigured` when it cannot be made, or when a long path needs a short socket directory that
 * somebody else owns.
 */
export function daemonPaths(dataDirectory: string): DaemonPaths {
  const directory = ownDirectory(dataDirectory)
  const layout = {
    directory,
    lock: join(directory, 'daemon.lock'),
    log: join(directory, 'daemon.log'),
    database: join(directory, 'pg'),
  }
  const digest = createHash('sha256').update(directory).digest('hex').slice(0, 20)
  if (process.platform === 'win32') {
    const socket = `\\\\.\\pipe\\mindglue-${digest}`
    return { ...layout, socket, candidateSocket: () => socket }
  }
  const near = join(directory, 'daemon.sock')
  if (Buffer.byteLength(near) <= socketPathBytesMax) {
    return { ...layout, socket: near, candidateSocket: (token) => join(directory, nick(token)) }
  }
  const short = shortSocketDirectory()
  return {
    ...layout,
    socket: join(short, digest),
    candidateSocket: (token) => join(short, nick(token)),
  }
}

/** Eleven characters, as long as `daemon.sock`: a candidate's path fits wherever the final one does. */
function nick(token: string): string {
  return `sock.${token.slice(0, 6)}`
}

function ownDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const real = realpathSync(path)
    // A directory made by hand often has 0755; the database in it is private.
    if (process.platform !== 'win32' && (statSync(real).mode & 0o077) !== 0) chmodSync(real, 0o700)
    return real
  } catch (error) {
    throw new AppError(
      'misconfigured',
      `The data directory ${path} cannot be made or is not yours; choose another with MINDGLUE_DATA_DIR.`,
      { cause: error },
    )
  }
}

/**
 * `/tmp/mindglue-<uid>`, not `os.tmpdir()`: every process must compute the same path, whatever its
 * TMPDIR is. The sticky bit keeps others from renaming it; the owner check keeps a directory that
 * somebody else made first from being trusted.
 */
function shortSocketDirectory(): string {
  const uid = process.getuid?.() ?? 0
  const path = `/tmp/mindglue-${String(uid)}`
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const found = lstatSync(path)
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new AppError(
      'misconfigured',
      `${path} is not a private directory of yours, so the socket cannot live there; ` +
        'choose a shorter path with MINDGLUE_DATA_DIR.',
    )
  }
  return path
}
