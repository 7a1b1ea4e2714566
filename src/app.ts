/** The composition root: the only place that constructs, in start order, and closes in the reverse. */
import { v7 as uuidv7 } from 'uuid'
import { openAccounts, type OpenedAccounts } from './accounts/open-accounts.ts'
import type { Authenticator } from './auth/authenticate.ts'
import type { FailedKeys } from './auth/failed-keys.ts'
import { openAuthenticator, writeKeyUses } from './auth/issued-keys.ts'
import { openLimits, type OpenedLimits } from './auth/open-limits.ts'
import { openTokens, type OpenedTokens } from './auth/open-tokens.ts'
import { exposedSettings, secretValues, type Config } from './config.ts'
import type { InstallationPurpose } from './crypto/derive.ts'
import {
  installationSecretFile,
  openInstallationSecret,
  type InstallationKeys,
} from './crypto/installation-secret.ts'
import { rootKeyFile } from './crypto/vault.ts'
import type { Database } from './database/database.ts'
import type { EmbeddedDatabase } from './database/embedded.ts'
import { openDatabase, rewriteTables, type OpenedDatabase } from './database/open.ts'
import { openRedis, type RedisBus } from './database/redis.ts'
import { createScope, verifyContextKey, type NamespaceScope } from './database/scope.ts'
import {
  createAuthorize,
  createCharge,
  createExecute,
  type Authorize,
  type ChangeListener,
  type Charge,
  type Execute,
} from './execute.ts'
import { changeIdsMax, openChanges, type Changes } from './jobs/changes.ts'
import { embedPendingJob } from './jobs/embed-pending.ts'
import { housekeepingJob } from './jobs/housekeeping.ts'
import { keyUsesJob } from './jobs/key-uses.ts'
import { createKeyUpkeep, type KeyUpkeep } from './jobs/key-upkeep.ts'
import { maintenanceJobs } from './jobs/maintenance.ts'
import { purgeJob } from './jobs/purge.ts'
import { removalJob, removeNamespace } from './jobs/removal.ts'
import type { UpkeepOptions } from './jobs/rewrap.ts'
import { reembed, type ReembedOptions } from './jobs/reembed.ts'
import { reindexNamespace, type Reindexed } from './jobs/reindex.ts'
import { scanNamespace, type Scanned } from './jobs/scan.ts'
import { vectorsJob } from './jobs/vectors.ts'
import { startJobs } from './jobs/runner.ts'
import { RankingTexts } from './memory/ranking-texts.ts'
import { SealedVectors } from './memory/sealed-vectors.ts'
import { partitionLimits } from './memory/vector-partitions.ts'
import type { Plans } from './namespaces/plans.ts'
import { readNow } from './namespaces/instructions.ts'
import { createNamespaces, type Namespaces } from './namespaces/namespaces.ts'
import { openEncryption, requireRootKeys, type Encryption } from './namespaces/root-keys.ts'
import type { OperationName } from './operation.ts'
import { createOperations, type Operations } from './operations.ts'
import { openEmbedder, requireEmbedder } from './pipeline/open-embedder.ts'
import type { WatchedEmbedder } from './pipeline/watched-embedder.ts'
import { analyzerVersion } from './pipeline/terms.ts'
import { agentScopes, allScopes, type Channel, type Principal } from './principal.ts'
import { readinessOf } from './sidecar/checks.ts'
import type { Check } from './sidecar/health.ts'
import { createLog, type Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { version } from './version.ts'

export interface PrincipalRequest {
  readonly namespaceName: string
  readonly agent: string
  readonly channel: Channel
  readonly requestId?: string
}

/** Operations after which memories are gone. */
const removing: ReadonlySet<OperationName> = new Set(['forget', 'quarantine.reject', 'rollback'])

/** The running program without its listeners. */
export interface App {
  /** What the person who started this should know: that a root key was made, and where. */
  readonly notice: string | undefined
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly operations: Operations
  readonly execute: Execute
  readonly authorize: Authorize
  readonly charge: Charge
  /** Who holds a credential that came over HTTP. */
  readonly authenticator: Authenticator
  /** Bounds wrong keys of one address, wherever they are sent. */
  readonly failedKeys: FailedKeys
  /** Access tokens of the configured issuer; undefined where there is none. */
  readonly tokens: OpenedTokens | undefined
  /** Accounts of people; undefined where there are none. */
  readonly accounts: OpenedAccounts | undefined
  /** Header fields that tell a principal how much of its limits is left. */
  rateLimitFields(principal: Principal): Readonly<Record<string, string>>
  readonly namespaces: Namespaces
  readonly plans: Plans
  /** Whether plans bound what namespaces may do. */
  readonly hasLimits: boolean
  readonly scope: NamespaceScope
  readonly database: Database
  /** The embedded engine, for backup; undefined on Postgres. */
  readonly embedded: EmbeddedDatabase | undefined
  /** What the principal's namespace is to keep and what never; undefined where nothing is said. */
  instructions(principal: Principal): Promise<string | undefined>
  /** Who asks, for channels whose identity is the operating-system user or one configured key. */
  principal(request: PrincipalRequest): Promise<Principal>
  /** Each dependency by name, for the sidecar. */
  readiness(): Promise<readonly Check[]>
  readonly events: Pick<Changes, 'onChange'>
  /** Makes the vectors of a whole namespace anew with the configured embedder; returns how many. */
  reembed(principal: Principal, options: ReembedOptions): Promise<number>
  /** Makes what its memories are found by anew with the present analyzer. */
  reindex(principal: Principal, options: ReembedOptions): Promise<Reindexed>
  /** Applies the policy of the principal's namespace to what it holds. */
  scan(principal: Principal, isDryRun: boolean, options: ReembedOptions): Promise<Scanned>
  readonly keyUpkeep: KeyUpkeep
  /** Deletes a namespace with its keys and every row, for good; returns how many rows went. */
  removeNamespace(namespace: bigint, options: UpkeepOptions): Promise<number>
  /** 32 secret bytes for a purpose, the same in every process of the installation. */
  secret(purpose: InstallationPurpose): Uint8Array
  /** Stops the jobs, then closes the database; nothing is written after it resolves. */
  close(): Promise<void>
}

export interface AppOptions {
  /** Asks the embedder first, as a process that serves does: a short command may not need one. */
  readonly requiresEmbedder?: boolean
}

/**
 * Opens everything. The embedded engine must be owned by this process (daemon/election.ts).
 * Throws `misconfigured` or `unavailable`, with what to do; never falls back to another store.
 */
export async function createApp(config: Config, options: AppOptions = {}): Promise<App> {
  const log = createLog({ level: config.logLevel, secrets: secretValues(config) })
  for (const setting of exposedSettings(config)) {
    log.warn('other users can read the file of a secret', { component: 'config', setting })
  }
  const metrics = createMetrics({
    version,
    namespaces: config.metricsNamespaces,
    processMetrics: true,
  })
  const keys = await openInstallationSecret(
    config.installationSecret,
    installationSecretFile(config.keyDirectory),
  )
  const embedder = openEmbedder(config, log, metrics)
  if (options.requiresEmbedder === true) await requireEmbedder(config, embedder, log)
  const bus = await openBus(config, log, metrics)
  const limiting = await openLimits(config, log, metrics).catch(async (error: unknown) => {
    await bus?.close()
    throw error
  })
  const requireOurs = (scope: NamespaceScope) => requireRootKeys(config, scope)
  const opened = await openDatabase(config, keys('context'), requireOurs).catch(
    async (error: unknown) => {
      limiting.close()
      await bus?.close()
      throw error
    },
  )
  try {
    const scope = createScope(opened.database, keys('context'))
    await verifyContextKey(scope)
    const encryption = await openEncryption(config, scope)
    if (encryption.isNew) log.warn('root key was made; keep a copy of it')
    const base = { config, log, metrics, keys, embedder, scope, bus, limiting, encryption }
    return await assemble({ ...base, ...opened })
  } catch (error) {
    limiting.close()
    await Promise.all([opened.database.close(), bus?.close()])
    throw error
  }
}

/** Throws `unavailable` when a configured Redis cannot be reached at start. */
async function openBus(
  { redisUrl }: Config,
  log: Log,
  metrics: Metrics,
): Promise<RedisBus | undefined> {
  if (redisUrl === undefined) return undefined
  return await openRedis(redisUrl, (error) => {
    metrics.failure('redis')
    log.warn('redis failed', { component: 'redis', error })
  })
}

interface Parts extends OpenedDatabase {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly keys: InstallationKeys
  readonly embedder: WatchedEmbedder | undefined
  readonly scope: NamespaceScope
  readonly bus: RedisBus | undefined
  readonly limiting: OpenedLimits
  readonly encryption: Encryption
}

async function assemble(parts: Parts): Promise<App> {
  const { config, log, metrics, keys, embedder, scope, bus, database, embedded } = parts
  const { vault, profile } = parts.encryption
  const { limits, failedKeys, quotas, plans } = parts.limiting
  const namespaces = createNamespaces(
    scope,
    {
      profile,
      embedderModel: embedder?.model ?? 'none',
      embedderDimension: embedder?.dimension ?? 0,
      analyzerVersion,
    },
    vault,
  )
  const changes = await openChanges(bus, () => {
    metrics.failure('redis')
    log.warn('message of another process is not understood', { component: 'redis' })
  })
  const rankingTexts = new RankingTexts()
  const sealedVectors = new SealedVectors()
  changes.onChange(({ namespace, action, memoryIds }) => {
    if (action === 'stored') quotas?.stored(namespace, { memories: memoryIds.length, bytes: 0 })
    // Another process lists only so many ids: a longer list stands for the whole namespace.
    const ids = memoryIds.length < changeIdsMax ? memoryIds : undefined
    if (action !== 'forgotten') return
    // Settings of a namespace that is gone are let go; those of any other are read anew.
    if (ids === undefined) {
      namespaces.forget(namespace)
      vault?.keyring.forgetNamespace(namespace)
    }
    rankingTexts.forget(namespace, ids)
    sealedVectors.forget(namespace, ids)
  })
  const principalOf: App['principal'] = async ({ namespaceName, agent, channel, requestId }) => ({
    namespace: await namespaces.resolve(namespaceName, { create: true }),
    namespaceName,
    agent,
    // An agent is no administrator: it does not see the private memories of other agents.
    scopes: new Set(channel === 'cli' ? allScopes : agentScopes),
    channel,
    requestId: requestId ?? uuidv7(),
  })
  const removal = {
    scope,
    vault,
    forget: (namespace: bigint): void => {
      namespaces.forget(namespace)
      // A list that is as long as this stands for the whole namespace, in every process.
      const memoryIds = Array.from({ length: changeIdsMax }, () => '')
      changes.publish({ namespace, memoryIds, action: 'forgotten' })
    },
  }
  const accounts = await openAccounts({
    config,
    keys,
    scope,
    log,
    removeNamespace: (namespace) =>
      removeNamespace(removal, namespace, { signal: new AbortController().signal }),
  })
  const tokens = await openTokens(config, accounts, (name) =>
    namespaces.resolve(name, { create: true }),
  )
  const { authenticator, keysChanged } = await openAuthenticator(scope, bus, {
    tokens,
    configuredKey: config.apiKey,
    configuredPrincipal: (request) =>
      principalOf({ namespaceName: config.namespaceName, agent: config.agent, ...request }),
    pepper: config.apiKeyPepper,
    failedKeys,
  })
  const written = new Set<bigint>()
  /** Memories stored or forgotten by this process. */
  let writes = 0
  const onChange: ChangeListener = ({ namespace, operation, resourceIds, touched }) => {
    if (operation.startsWith('key.')) return keysChanged(resourceIds)
    writes += Math.max(1, resourceIds.length)
    written.add(namespace)
    const action = removing.has(operation) ? 'forgotten' : 'stored'
    for (const { ids: memoryIds, audience } of touched) {
      changes.publish({ namespace, memoryIds, action, ...(audience && { audience }) })
    }
    return undefined
  }
  metrics.observePool(async () => {
    const status = await database.status()
    return { inUse: status.poolInUse, waiting: status.poolWaiting }
  })
  const jobs = startJobs(
    [
      removalJob(removal),
      purgeJob({
        scope,
        metrics,
        everySeconds: config.purgeIntervalSeconds,
        // The embedded engine does one thing at a time: a second worker would only take others' turns.
        workers: embedded ? 1 : config.purgeWorkers,
      }),
      ...(embedder ? [embedPendingJob({ scope, namespaces, embedder, metrics, log })] : []),
      housekeepingJob({
        scope,
        namespaces,
        metrics,
        log,
        touched: written,
        limits: partitionLimits,
      }),
      keyUsesJob(scope, authenticator),
      ...(embedded
        ? maintenanceJobs(embedded, () => writes)
        : [vectorsJob({ scope, log, metrics, limits: partitionLimits })]),
    ],
    log,
    metrics,
  )
  const rootKey = rootKeyFile(config.keyDirectory)
  return {
    notice: parts.encryption.isNew
      ? `Made the root key ${rootKey}. Losing it loses every encrypted memory: keep a copy elsewhere.`
      : undefined,
    config,
    log,
    metrics,
    operations: createOperations({
      embedder,
      cursorKey: keys('cursor'),
      rankingTexts,
      sealedVectors,
      briefTokens: config.briefTokens,
      apiKeyPepper: config.apiKeyPepper,
      requestsPerMinuteLeast: config.redisUrl === undefined ? config.replicas : 1,
      plans,
      hasLimits: quotas !== undefined,
    }),
    execute: createExecute({
      scope,
      namespaces,
      log,
      metrics,
      limits,
      ...(quotas && { quotas }),
      onChange,
    }),
    authorize: createAuthorize({ scope, namespaces, log, metrics, limits }),
    charge: createCharge({ namespaces, limits }),
    authenticator,
    failedKeys,
    tokens,
    accounts,
    rateLimitFields: (who) => limits.headers(who),
    namespaces,
    scope,
    database,
    embedded,
    plans,
    hasLimits: quotas !== undefined,
    principal: principalOf,
    instructions: (principal) => readNow({ scope, namespaces }, principal),
    readiness: readinessOf({ database, embedder, redis: bus }),
    events: changes,
    keyUpkeep: createKeyUpkeep({
      scope,
      namespaces,
      vault,
      rewriteTables: (target) => rewriteTables(config, database, target),
    }),
    removeNamespace: (namespace, { signal, onProgress }) =>
      removeNamespace(removal, namespace, { signal, onProgress: (rows) => onProgress(rows, rows) }),
    reembed: (principal, options) => reembed({ scope, namespaces, embedder }, principal, options),
    reindex: (principal, options) => reindexNamespace({ scope, namespaces }, principal, options),
    scan: (principal, isDryRun, options) =>
      scanNamespace(
        { scope, namespaces, rewriteTables: () => rewriteTables(config, database, 'scan') },
        principal,
        isDryRun,
        options,
      ),
    secret: keys,
    close: async () => {
      await jobs.stop()
      await accounts?.close()
      rankingTexts.close()
      sealedVectors.close()
      // Lost when it fails: when keys were used in the last minute of this process.
      await writeKeyUses(scope, authenticator).catch(() => undefined)
      parts.limiting.close()
      await bus?.close()
      await database.close()
      vault?.keyring.close()
      log.flush()
    },
  }
}
