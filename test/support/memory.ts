/** Operations over a fresh test database, without transports: what memory tests talk to. */
import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { Vault } from '../../src/crypto/vault.ts'
import type { NamespaceScope } from '../../src/database/scope.ts'
import { createExecute, type Execute } from '../../src/execute.ts'
import { RankingTexts } from '../../src/memory/ranking-texts.ts'
import { SealedVectors } from '../../src/memory/sealed-vectors.ts'
import { addRootKey } from '../../src/namespaces/namespace-keys.sql.ts'
import { createNamespaces, type Namespaces, type Profile } from '../../src/namespaces/namespaces.ts'
import { createOperations, type Operations } from '../../src/operations.ts'
import { createEmbedder, type Embedder } from '../../src/pipeline/embed.ts'
import { analyzerVersion } from '../../src/pipeline/terms.ts'
import { agentScopes, allScopes, type Principal, type Scope } from '../../src/principal.ts'
import { createLog, type Log } from '../../src/telemetry/log.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { openTestDatabase, type TestDatabase } from './database.ts'
import { openTestVault, type TestVault } from './vault.ts'

export interface TestMemory {
  readonly test: TestDatabase
  readonly vault: TestVault
  readonly rankingTexts: RankingTexts
  readonly sealedVectors: SealedVectors
  readonly namespaces: Namespaces
  readonly operations: Operations
  readonly execute: Execute
  readonly metrics: Metrics
  readonly log: Log
  /** What was logged, as text. */
  readonly logged: () => string
  /** A principal in a namespace that is made on first use. */
  principal(changes?: PrincipalChanges): Promise<Principal>
  close(): Promise<void>
}

export interface PrincipalChanges {
  readonly namespaceName?: string
  readonly agent?: string
  readonly scopes?: readonly Scope[]
  readonly channel?: Principal['channel']
  /** Encryption of the namespace when it is made with this call. */
  readonly profile?: Profile
}

export interface TestMemoryOptions {
  /** Replaces the static embedder; null: none. */
  readonly embedder?: Embedder | null
  /** Encryption of new namespaces; `field`, as the product has it, when left out. */
  readonly profile?: Profile
  /** Connections to a Postgres server; 10 when left out. */
  readonly poolMax?: number
  /** Of a statement on a Postgres server, the product's own when left out. */
  readonly statementTimeoutMs?: number
}

/** As a process does when it starts. */
export async function noteRootKey(
  scope: NamespaceScope,
  { keyring }: Pick<TestVault, 'keyring'>,
): Promise<void> {
  const [id, check] = [keyring.writingKeyId, keyring.createKeyCheck()]
  await scope.withDirectory((sql) => addRootKey(sql, id, check))
}

export async function openTestMemory(options: TestMemoryOptions = {}): Promise<TestMemory> {
  const { poolMax = 10, statementTimeoutMs } = options
  const timeout = statementTimeoutMs !== undefined && { statementTimeoutMs }
  const test = await openTestDatabase({ postgres: { poolMax, ...timeout } })
  const embedder =
    options.embedder === undefined
      ? createEmbedder({ embedder: 'static' })
      : (options.embedder ?? undefined)
  const lines: string[] = []
  const log = createLog({
    level: 'debug',
    destination: { write: (text: string) => void lines.push(text) },
  })
  const metrics = createMetrics({ version: '0.0.0', namespaces: ['default'] })
  const vault = await openTestVault()
  await noteRootKey(test.scope, vault)
  const rankingTexts = new RankingTexts()
  const sealedVectors = new SealedVectors()
  const namespacesOf = (profile: Profile) =>
    createNamespaces(
      test.scope,
      {
        profile,
        embedderModel: embedder?.model ?? 'none',
        embedderDimension: embedder?.dimension ?? 0,
        analyzerVersion,
      },
      vault,
    )
  const namespaces = namespacesOf(options.profile ?? 'field')
  return {
    test,
    vault,
    rankingTexts,
    sealedVectors,
    namespaces,
    operations: createOperations({
      embedder,
      cursorKey: randomBytes(32),
      rankingTexts,
      sealedVectors,
    }),
    execute: createExecute({
      scope: test.scope,
      namespaces,
      log,
      metrics,
      onChange: () => undefined,
    }),
    metrics,
    log,
    logged: () => lines.join(''),
    principal: async (changes = {}) => {
      const namespaceName = changes.namespaceName ?? 'default'
      if (changes.profile) {
        await namespacesOf(changes.profile).resolve(namespaceName, { create: true })
      }
      const channel = changes.channel ?? 'stdio'
      return {
        namespace: await namespaces.resolve(namespaceName, { create: true }),
        namespaceName,
        agent: changes.agent ?? 'ada',
        // As the program gives them (app.ts).
        scopes: new Set(changes.scopes ?? (channel === 'cli' ? allScopes : agentScopes)),
        channel,
        requestId: uuidv7(),
      }
    },
    close: async () => {
      rankingTexts.close()
      sealedVectors.close()
      await test.close()
      vault.remove()
    },
  }
}

export interface TestProcess {
  readonly namespaces: Namespaces
  readonly execute: Execute
  readonly operations: Operations
}

/** Another process on the same database, with no settings cached; configured otherwise where it is given. */
export function openProcess(
  memory: TestMemory,
  { vault = memory.vault, embedder }: { readonly vault?: Vault; readonly embedder?: Embedder } = {},
): TestProcess {
  const { test, metrics, rankingTexts, sealedVectors } = memory
  const configured = embedder ?? createEmbedder({ embedder: 'static' })
  const defaults = {
    profile: 'field' as const,
    embedderModel: configured?.model ?? 'none',
    embedderDimension: configured?.dimension ?? 0,
    analyzerVersion,
  }
  const namespaces = createNamespaces(test.scope, defaults, vault)
  const execute = createExecute({
    scope: test.scope,
    namespaces,
    log: createLog({ level: 'silent' }),
    metrics,
    onChange: () => undefined,
  })
  const operations =
    embedder === undefined
      ? memory.operations
      : createOperations({ embedder, cursorKey: randomBytes(32), rankingTexts, sealedVectors })
  return { namespaces, execute, operations }
}
