/** The one funnel: limits → scope → validate → prepare → transaction (commit + audit) → log, metrics. */
import type { z } from 'zod'
import { recordEvent } from './audit/events.ts'
import type { RequestLimits } from './auth/request-limits.ts'
import { isEnvelopeFailure } from './crypto/envelope.ts'
import { isOutcomeUnknown } from './database/faults.ts'
import type { NamespaceScope } from './database/scope.ts'
import { AppError, toAppError } from './errors.ts'
import { readGranted } from './namespaces/granted.ts'
import type { Namespaces } from './namespaces/namespaces.ts'
import { createRoom, type Quotas } from './namespaces/quotas.ts'
import { readRevision } from './namespaces/namespaces.sql.ts'
import type {
  Committed,
  NamespaceSettings,
  NeededOperation,
  Operation,
  OperationName,
  PrepareContext,
  Touched,
} from './operation.ts'
import { mayUseTool, type Principal, type Scope } from './principal.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface ExecuteOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total?: number) => void) | undefined
}

/**
 * Runs an operation for a principal. `input` is untrusted: it is parsed here with the operation's
 * schema. Throws AppError and nothing else. A write is durable and audited when the promise resolves.
 */
export type Execute = <Input extends z.ZodType, Output extends z.ZodType, Prepared>(
  operation: Operation<Input, Output, Prepared>,
  principal: Principal,
  input: unknown,
  options?: ExecuteOptions,
) => Promise<z.output<Output>>

/**
 * Refuses, audited and counted as a run would be, what `execute` would refuse for want of a scope or of a
 * tool: for transports that must know before they dispatch. Throws AppError `insufficient_scope`.
 */
export type Authorize = (operation: NeededOperation, principal: Principal) => Promise<void>

/**
 * Counts a request that runs no operation and costs something all the same, such as one that opens a session.
 * Throws AppError `rate_limited`; no operation was refused, so the audit log says nothing of it.
 */
export type Charge = (principal: Principal) => Promise<void>

/**
 * Told after the commit what an operation touched, memories or keys, and who may know; ids only. Told as well
 * when nobody can say whether it was committed.
 */
export type ChangeListener = (change: {
  readonly namespace: bigint
  readonly operation: OperationName
  readonly resourceIds: readonly string[]
  readonly touched: readonly Touched[]
}) => void

export interface ExecuteDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  readonly log: Log
  readonly metrics: Metrics
  /** Left out: nothing is limited. */
  readonly limits?: RequestLimits
  /** Left out: nothing is bounded. */
  readonly quotas?: Quotas
  readonly onChange: ChangeListener
}

type AuthorizeDependencies = Omit<ExecuteDependencies, 'onChange' | 'quotas'>

/** A namespace whose settings change under every attempt is being reconfigured in a loop. */
const settingsAttemptsMax = 3
const neverAborted = new AbortController().signal

/** The prepared work was made with settings that changed before it could be committed. */
class SettingsChanged extends Error {
  readonly revision: number
  constructor(revision: number) {
    super('settings changed')
    this.revision = revision
  }
}

export function createExecute(dependencies: ExecuteDependencies): Execute {
  return async (operation, principal, input, options = {}) => {
    const started = performance.now()
    const stageMs: Record<string, number> = {}
    let outcome: 'ok' | AppError['code'] = 'ok'
    let isAudited = true
    try {
      const settings = await dependencies.namespaces.settings(principal)
      const refusal = await dependencies.limits?.take(principal, settings.plan)
      if (refusal !== undefined) {
        isAudited = refusal.isFirst
        throw refusal.error
      }
      requireRight(operation, principal)
      const parsed = parseInput(operation, input)
      if (operation.quarantine?.(parsed) === 'shown') requireScopes(['admin'], principal)
      const request = { operation, principal, input: parsed, options, stageMs }
      const committed = await run(dependencies, request, settings)
      if (committed.unreadable) {
        dependencies.metrics.failure('encryption')
        dependencies.log.error('memories do not decrypt', {
          request_id: principal.requestId,
          rows: committed.unreadable,
        })
      }
      return committed.output
    } catch (thrown) {
      const isCancelled = options.signal?.aborted === true && !isOutcomeUnknown(thrown)
      const error = isCancelled ? cancelled(thrown) : toAppError(thrown)
      outcome = error.code
      if (isAudited) await auditFailure(dependencies, operation.name, principal, error)
      if (error.code === 'internal') {
        dependencies.log.error('request failed', { request_id: principal.requestId, error: thrown })
      }
      throw error
    } finally {
      finish(dependencies, operation.name, principal, outcome, started, stageMs)
    }
  }
}

export function createAuthorize(dependencies: AuthorizeDependencies): Authorize {
  return async (operation, principal) => {
    const started = performance.now()
    try {
      requireRight(operation, principal)
    } catch (thrown) {
      // A refusal is a request too: without this, refusing would be unbounded work.
      const { plan } = await dependencies.namespaces.settings(principal)
      const refusal = await dependencies.limits?.take(principal, plan)
      const error = refusal?.error ?? toAppError(thrown)
      if (refusal?.isFirst !== false) {
        await auditFailure(dependencies, operation.name, principal, error)
      }
      finish(dependencies, operation.name, principal, error.code, started, {})
      throw error
    }
  }
}

export function createCharge({
  namespaces,
  limits,
}: Pick<ExecuteDependencies, 'namespaces' | 'limits'>): Charge {
  return async (principal) => {
    const { plan } = await namespaces.settings(principal)
    const refusal = await limits?.take(principal, plan)
    if (refusal !== undefined) throw refusal.error
  }
}

/** Only of work that was undone: from COMMIT on the answer is what the database says. */
function cancelled(cause: unknown): AppError {
  return new AppError('timeout', 'The request was cancelled; nothing was changed.', { cause })
}

function parseInput<Input extends z.ZodType>(
  operation: { readonly input: Input },
  input: unknown,
): z.output<Input> {
  const result = operation.input.safeParse(input)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, issuesMax).map((issue) => ({
    path: issue.path.map((part) => ownName(part)).join('.'),
    message: issue.message.slice(0, issueCharactersMax),
  }))
  const [first] = issues
  throw new AppError(
    'invalid_input',
    `Invalid arguments: ${first?.path === '' ? '' : `${first?.path}: `}${first?.message}`,
    { details: { issues } },
  )
}

const issuesMax = 10
/** Unknown names are quoted to the caller: a typing mistake is short. */
const issueCharactersMax = 300

/** Names of our schemas are lower case; any other part is a key the caller made, which may hold content. */
function ownName(part: PropertyKey): string {
  const text = String(part)
  return /^(?:[a-z][a-z_]{0,30}|\d+)(?:\.(?:[a-z_]{1,30}|\d+)){0,3}$/u.test(text) ? text : '*'
}

/** A scope says what a principal may do; a key can be narrowed further, to the tools that it is for. */
function requireRight(
  { name, scope, tool = name, furtherScopes = [] }: NeededOperation,
  principal: Principal,
): void {
  requireScopes([scope, ...furtherScopes], principal)
  if (mayUseTool(principal, tool)) return
  throw new AppError('insufficient_scope', 'This API key is for other operations only.')
}

/** Names all that are missing, so that a client asks a person once. */
function requireScopes(needed: readonly Scope[], { scopes }: Principal): void {
  const missing = scopes.has('admin') ? [] : needed.filter((scope) => !scopes.has(scope))
  if (missing.length === 0) return
  throw new AppError('insufficient_scope', `This needs the scope ${missing.join(' and ')}.`, {
    details: { challenge: 'insufficient_scope', scope: missing.join(' ') },
  })
}

interface Running<Input extends z.ZodType, Output extends z.ZodType, Prepared> {
  readonly operation: Operation<Input, Output, Prepared>
  readonly principal: Principal
  readonly input: z.output<Input>
  readonly options: ExecuteOptions
  readonly stageMs: Record<string, number>
}

async function run<Input extends z.ZodType, Output extends z.ZodType, Prepared>(
  dependencies: ExecuteDependencies,
  { operation, principal, input, options, stageMs }: Running<Input, Output, Prepared>,
  known: NamespaceSettings,
): Promise<Committed<z.output<Output>>> {
  const { scope, namespaces, quotas } = dependencies
  let settings = known
  for (let attempt = 1; ; attempt += 1) {
    const seesQuarantined = (operation.quarantine?.(input) ?? 'hidden') !== 'hidden'
    const read: PrepareContext['read'] = (work) =>
      scope.withNamespace(principal, { readOnly: true, retryable: true, seesQuarantined }, work)
    const context = prepareContext(dependencies, principal, settings, options, { stageMs, read })
    const transaction = { retryable: operation.isIdempotent(input), seesQuarantined }
    const room = createRoom(quotas, principal, settings.plan)
    const sent: { committed?: Committed<z.output<Output>> } = {}
    try {
      const prepared = await operation.prepare(context, input)
      context.signal.throwIfAborted()
      const done = await context.stage('transaction', () =>
        scope.withNamespace(principal, transaction, async (tx) => {
          const revision = await readRevision(tx, operation.effect !== 'read')
          if (revision !== settings.revision) {
            // Without a row it was deleted: then there are no settings to read anew.
            throw new SettingsChanged(revision ?? Number.MAX_SAFE_INTEGER)
          }
          const reserveRoom = room.inTransaction(tx)
          const committed = await operation.commit({ ...context, tx, reserveRoom }, prepared, input)
          await recordEvent(tx, principal, operation.name, 'ok', committed.audit)
          sent.committed = committed
          return committed
        }),
      )
      room.taken()
      announce(dependencies, principal, operation, done)
      return done
    } catch (error) {
      if (isOutcomeUnknown(error) && sent.committed !== undefined) {
        // Told as if it were done: a notice too many costs a read, one too few keeps what was forgotten.
        announce(dependencies, principal, operation, sent.committed)
      }
      const revision =
        error instanceof SettingsChanged
          ? error.revision
          : await revisionAfter(scope, principal, settings, error)
      if (attempt === settingsAttemptsMax) {
        throw new AppError('conflict', 'The namespace is being reconfigured; try again.')
      }
      settings = await namespaces.settings(principal, revision)
    }
  }
}

function announce(
  { onChange }: ExecuteDependencies,
  { namespace }: Principal,
  { name, effect }: Pick<Operation, 'name' | 'effect'>,
  { audit, touched }: Committed<unknown>,
): void {
  if (effect === 'read') return
  onChange({
    namespace,
    operation: name,
    resourceIds: audit.resourceIds ?? [],
    touched: touched ?? [],
  })
}

/**
 * A read holds no lock: keys may be wrapped anew between its check and its rows. When the settings have
 * moved since, they say how to read those rows; else throws the failure as it came.
 */
async function revisionAfter(
  scope: NamespaceScope,
  principal: Principal,
  settings: NamespaceSettings,
  failure: unknown,
): Promise<number> {
  if (!isEnvelopeFailure(failure)) throw failure
  const revision = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    readRevision(tx, false),
  )
  if (revision === undefined || revision === settings.revision) throw failure
  return revision
}

function prepareContext(
  { scope, namespaces, log }: ExecuteDependencies,
  principal: Principal,
  settings: NamespaceSettings,
  options: ExecuteOptions,
  { stageMs, read }: Pick<PrepareContext, 'read'> & { readonly stageMs: Record<string, number> },
): PrepareContext {
  const context: Omit<PrepareContext, 'granted'> = {
    principal,
    settings,
    now: new Date(),
    signal: options.signal ?? neverAborted,
    read,
    reserveDocuments: (space, count) => namespaces.reserveDocuments(principal, space, count),
    findNamespace: (name) => namespaces.find(name),
    stage: async (name, step) => {
      const began = performance.now()
      try {
        return await step()
      } finally {
        stageMs[name] = (stageMs[name] ?? 0) + performance.now() - began
      }
    },
    stages: () =>
      Object.fromEntries(Object.entries(stageMs).map(([name, ms]) => [name, round(ms)])),
    progress: (done, total) => options.onProgress?.(done, total),
  }
  const onFailure = (error: AppError): void => {
    log.warn('grant could not be read', { request_id: principal.requestId, error })
  }
  return {
    ...context,
    granted: (work) => readGranted({ scope, namespaces, onFailure }, context, work),
  }
}

/** Its own transaction, since the operation's rolled back. A failure to audit is logged, not hidden. */
async function auditFailure(
  { scope, log, metrics }: Pick<ExecuteDependencies, 'scope' | 'log' | 'metrics'>,
  operation: OperationName,
  principal: Principal,
  error: AppError,
): Promise<void> {
  try {
    await scope.withNamespace(principal, {}, async (tx) => {
      // A namespace that is deleted has no log, and gets none by being asked for.
      if ((await readRevision(tx, true)) === undefined) return
      await recordEvent(tx, principal, operation, error.code, {})
    })
  } catch (auditError) {
    metrics.failure('audit')
    log.error('refusal could not be audited', {
      request_id: principal.requestId,
      error: auditError,
    })
  }
}

function finish(
  { log, metrics }: Pick<ExecuteDependencies, 'log' | 'metrics'>,
  operation: OperationName,
  principal: Principal,
  outcome: 'ok' | AppError['code'],
  started: number,
  stageMs: Readonly<Record<string, number>>,
): void {
  const durationMs = performance.now() - started
  metrics.request({
    operation,
    transport: principal.channel,
    outcome,
    namespaceName: principal.namespaceName,
    durationMs,
    stageMs,
  })
  log.info('request finished', {
    request_id: principal.requestId,
    namespace: principal.namespaceName,
    agent: principal.agent,
    operation,
    transport: principal.channel,
    outcome,
    duration_ms: round(durationMs),
    stage_ms: stageMs,
  })
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}
