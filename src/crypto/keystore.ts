/**
 * Where the epoch secrets of namespaces live and die: a directory outside Postgres, one folder per
 * namespace, one file per generation. Knows no root key and no table; backup: keystore-backup.ts.
 *
 * There is no lock to go stale. A change writes generation n + 1 whole and gives it its name with
 * link(2), which only one writer can win; the loser reads again and retries. The highest generation is
 * the truth, so a process killed at any point leaves the state before or after its change.
 *
 * A writer that read n and sleeps must not win a name n + 1 that was used and swept meanwhile. So it
 * makes its temporary file before it reads, and a sweep removes every temporary file before it frees
 * a generation's name: the sleeper finds the name taken or its own file gone.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import {
  beginDraft,
  hasErrorCode,
  makeDirectoryDurably,
  removeFile,
  syncDirectory,
  temporaryPrefix,
  type Draft,
} from './durable-file.ts'
import { formatRecord, parseRecord, type KeystoreRecord } from './keystore-record.ts'
import { epochSecretBytes, type EpochSecret } from './namespace-keys.ts'

/** Newest first, as NamespaceKeyMaterial takes them. */
export type Epochs = readonly [EpochSecret, ...EpochSecret[]]

/** An unfinished shredding keeps two; more are shreddings that never ended. */
const epochsMax = 8
/** Each lost race means that another writer made progress; a hundred in a row is a fault. */
const attemptsMax = 100
const generationPattern = /^\d{10}\.epochs$/

const fileName = (generation: number): string => `${String(generation).padStart(10, '0')}.epochs`

/** One per process is enough, any number may share the directory. Holds no secret between calls. */
export class Keystore {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Opens the directory, or makes it with mode 0700. Throws AppError `misconfigured` when other users
   * have access to it.
   */
  static async open(directory: string): Promise<Keystore> {
    await makeDirectoryDurably(directory)
    const { mode } = await stat(directory)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new AppError(
        'misconfigured',
        `Other users can open the keystore ${directory}. Run: chmod 700 ${directory}`,
      )
    }
    return new Keystore(directory)
  }

  /**
   * The live epoch secrets, read from disk at every call: another process may have changed them. A
   * caller that wraps keys must check in its transaction that no shredding began since.
   */
  async get(namespace: bigint): Promise<Epochs | undefined> {
    return epochsOf(await this.read(namespace))
  }

  /** The first epoch secret of a new namespace. Throws AppError `conflict` if it has or had one. */
  async create(namespace: bigint): Promise<Epochs> {
    return this.#change(namespace, (record) => {
      if (record !== undefined) throw conflict('This namespace has epoch secrets already.')
      return [newEpoch(1)]
    })
  }

  /** Adds a new epoch secret in front; the old ones still unwrap until `destroyOld`. */
  async rotate(namespace: bigint): Promise<Epochs> {
    return this.#change(namespace, (record) => {
      const epochs = assertLive(record)
      if (epochs.length >= epochsMax) {
        throw conflict('Earlier epochs of this namespace are still waiting to be destroyed.')
      }
      return [newEpoch(epochs[0].epoch + 1), ...epochs]
    })
  }

  /**
   * Destroys every epoch secret but the newest. When it resolves, what was wrapped under them and not
   * rewrapped can never be opened again, except with a backup of the keystore.
   */
  async destroyOld(namespace: bigint): Promise<Epochs> {
    return this.#change(namespace, (record) => [assertLive(record)[0]])
  }

  /** Destroys all epoch secrets of a namespace for good and leaves a marker: `create` refuses from then on. */
  async destroy(namespace: bigint): Promise<void> {
    await this.#update(namespace, () => [])
  }

  /** Every namespace the keystore knows, destroyed ones too, in ascending order. */
  async list(): Promise<bigint[]> {
    const names = (await readdir(this.#directory)).filter((name) => /^\d{1,19}$/.test(name))
    return names.map((name) => BigInt(name)).toSorted((left, right) => (left < right ? -1 : 1))
  }

  /**
   * Latest record of a namespace; `epochs` is empty for a destroyed one. Throws AppError `internal`
   * when the newest file is damaged: an older one must not come back.
   */
  async read(namespace: bigint): Promise<KeystoreRecord | undefined> {
    let damagedGeneration = -1
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const generations = await this.#generations(namespace)
      const generation = generations.at(-1)
      if (generation === undefined) return undefined
      const bytes = await readIfPresent(join(this.#folder(namespace), fileName(generation)))
      const record = bytes === undefined ? undefined : parseRecord(bytes)
      const isRight = record?.namespace === namespace && record.generation === generation
      if (isRight) {
        // A writer was killed between its link and its sweep: what it destroyed must not linger.
        if (generations.length > 1) await this.#sweepBelow(namespace, generation)
        return record
      }
      // Gone or overwritten: a newer generation must be there. If not, the file is really damaged.
      if (bytes !== undefined && generation === damagedGeneration) break
      damagedGeneration = bytes === undefined ? damagedGeneration : generation
    }
    throw new AppError(
      'internal',
      `The keystore file of namespace ${namespace} is damaged. Restore the keystore from its backup.`,
    )
  }

  /** Puts a record of a backup where the keystore has none. False when it knows the namespace already. */
  async restoreRecord(record: KeystoreRecord): Promise<boolean> {
    if ((await this.read(record.namespace)) !== undefined) return false
    const draft = await beginDraft(this.#folder(record.namespace))
    try {
      if ((await this.read(record.namespace)) !== undefined) return false
      return await this.#publish(draft, record)
    } finally {
      await draft.discard()
    }
  }

  async #change(
    namespace: bigint,
    next: (record: KeystoreRecord | undefined) => Epochs,
  ): Promise<Epochs> {
    return assertLive(await this.#update(namespace, next))
  }

  async #update(
    namespace: bigint,
    next: (record: KeystoreRecord | undefined) => readonly EpochSecret[],
  ): Promise<KeystoreRecord> {
    // A change that is refused leaves no trace, not even a folder.
    next(await this.read(namespace))
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const draft = await beginDraft(this.#folder(namespace))
      try {
        const current = await this.read(namespace)
        const generation = (current?.generation ?? 0) + 1
        const record = { namespace, generation, epochs: next(current) }
        if (await this.#publish(draft, record)) return record
        // Another writer took this generation: read what it made and decide anew.
      } finally {
        await draft.discard()
      }
    }
    throw new AppError('unavailable', 'The keystore is busy. Try again.')
  }

  async #publish(draft: Draft, record: KeystoreRecord): Promise<boolean> {
    assert(record.generation >= 1 && record.generation < 1e10)
    const folder = this.#folder(record.namespace)
    const path = join(folder, fileName(record.generation))
    const won = await draft.publish(path, formatRecord(record))
    if (won) await this.#sweepBelow(record.namespace, record.generation)
    return won
  }

  /**
   * Removes replaced generations and what killed writers left. Temporary files first, see above; they
   * are not overwritten, since one may share its bytes with a generation just linked from it.
   * Overwriting the rest helps on disks that write in place; on others deletion is all there is.
   */
  async #sweepBelow(namespace: bigint, newest: number): Promise<void> {
    const folder = this.#folder(namespace)
    for (const name of await readdir(folder)) {
      if (name.startsWith(temporaryPrefix)) await removeFile(join(folder, name))
    }
    for (const generation of await this.#generations(namespace)) {
      if (generation >= newest) continue
      const path = join(folder, fileName(generation))
      await overwrite(path)
      await removeFile(path)
    }
    await syncDirectory(folder)
  }

  async #generations(namespace: bigint): Promise<number[]> {
    const names = await readdir(this.#folder(namespace)).catch((error: unknown) => {
      if (hasErrorCode(error, 'ENOENT')) return []
      throw error
    })
    return names
      .filter((name) => generationPattern.test(name))
      .map((name) => Number.parseInt(name, 10))
      .toSorted((left, right) => left - right)
  }

  #folder(namespace: bigint): string {
    assert(namespace >= 0n, 'a namespace is not negative')
    return join(this.#directory, namespace.toString())
  }
}

function conflict(message: string): AppError {
  return new AppError('conflict', message)
}

function newEpoch(epoch: number): EpochSecret {
  return { epoch, secret: randomBytes(epochSecretBytes) }
}

/** The live epochs of a record; none for an absent or destroyed namespace. */
function epochsOf(record: KeystoreRecord | undefined): Epochs | undefined {
  const [newest, ...older] = record?.epochs ?? []
  return newest === undefined ? undefined : [newest, ...older]
}

function assertLive(record: KeystoreRecord | undefined): Epochs {
  const epochs = epochsOf(record)
  if (epochs !== undefined) return epochs
  throw new AppError('not_found', 'The keystore has no epoch secret for this namespace.')
}

async function readIfPresent(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  })
}

async function overwrite(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+')
    try {
      const { size } = await file.stat()
      await file.write(randomBytes(size), 0, size, 0)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    // Another process swept it first.
    if (!hasErrorCode(error, 'ENOENT')) throw error
  }
}
