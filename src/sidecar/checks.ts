/** What `/health/ready` asks: each dependency by name. */
import type { Database } from '../database/database.ts'
import { migrationState, readMigrations, requireCurrent } from '../database/migrate.ts'
import type { RedisBus } from '../database/redis.ts'
import { AppError } from '../errors.ts'
import type { WatchedEmbedder } from '../pipeline/watched-embedder.ts'
import type { Check } from './health.ts'

/** A remote embedder is paid by the call, and probes come every few seconds. */
const embedderFreshMs = 60_000

export interface Dependencies {
  readonly database: Database
  readonly embedder: WatchedEmbedder | undefined
  readonly redis: RedisBus | undefined
}

/** Never rejects. Without its embedder or Redis the server goes on with less, and says so. */
export function readinessOf(dependencies: Dependencies): () => Promise<readonly Check[]> {
  const { database, embedder, redis } = dependencies
  let embedderAskedAt = Number.NEGATIVE_INFINITY
  const askEmbedder = async (watched: WatchedEmbedder): Promise<void> => {
    const now = performance.now()
    if (now - embedderAskedAt > embedderFreshMs) {
      embedderAskedAt = now
      await watched.embedQuestion('ready')
    } else if (!watched.isAnswering()) {
      throw new AppError('unavailable', 'The embedder failed when it was last asked.')
    }
  }
  return async () => {
    const migrations = await readMigrations()
    return [
      await check('database', async () => void (await database.status())),
      await check('migrations', async () =>
        requireCurrent(await migrationState(database, migrations)),
      ),
      ...(embedder ? [optional(await check('embedder', () => askEmbedder(embedder)))] : []),
      ...(redis ? [optional(await check('redis', () => redis.ping()))] : []),
    ]
  }
}

async function check(name: string, probe: () => Promise<void>): Promise<Check> {
  try {
    await probe()
    return { name, ok: true }
  } catch (error) {
    return { name, ok: false, detail: error instanceof AppError ? error.code : 'failed' }
  }
}

function optional(result: Check): Check {
  return { ...result, optional: true }
}
