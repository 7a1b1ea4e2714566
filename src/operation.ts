/** What an operation is. Transports, the command line, OpenAPI and tools are built from a list of these. */
import type { z } from 'zod'
import type { NamespaceKeys } from './crypto/namespace-keys.ts'
import type { NamespaceTransaction } from './database/scope.ts'
import type { Principal, Scope } from './principal.ts'

export type OperationName =
  | 'store'
  | 'edit'
  | 'retire'
  | 'restore'
  | 'pin'
  | 'feedback'
  | 'recall'
  | 'brief'
  | 'forget'
  | 'export'
  | 'import'
  | 'entity.names'
  | 'audit.query'
  | 'quarantine.list'
  | 'quarantine.approve'
  | 'quarantine.reject'
  | 'rollback'
  | 'member.list'
  | 'member.invite'
  | 'member.set'
  | 'member.remove'
  | 'client.list'
  | 'client.revoke'
  | 'key.issue'
  | 'key.list'
  | 'key.rotate'
  | 'key.revoke'
  | 'namespace.list'
  | 'namespace.read'
  | 'namespace.set'
  | 'instructions.read'
  | 'instructions.set'
  | 'usage.read'
  | 'plan.list'
  | 'grant.create'
  | 'grant.list'
  | 'grant.revoke'

/** `allow`: not looked for. `flag`: kept and named in the answer. `redact`: replaced. `refuse`: nothing is stored. */
export const doorActions = ['allow', 'flag', 'redact', 'refuse'] as const
export type DoorAction = (typeof doorActions)[number]

export interface DoorPolicy {
  readonly credentials: DoorAction
  readonly personal: DoorAction
}

/** How a namespace stores and finds its memories; read before `prepare`, rechecked by revision in `commit`. */
export interface NamespaceSettings {
  readonly namespace: bigint
  readonly name: string
  /** Changes with every setting below: a prepared operation is prepared again when it moved. */
  readonly revision: number
  /** Name of the plan that bounds it (namespaces/plans.ts). */
  readonly plan: string
  readonly profile: 'off' | 'field' | 'sealed'
  /** What becomes of credentials and personal data in what is stored. */
  readonly door: DoorPolicy
  readonly embedderModel: string
  /** Length of a stored vector; 0 when the embedder is `none`. */
  readonly embedderDimension: number
  readonly analyzerVersion: number
  /** 32 bytes: keys every term hash, blind index and dedupe hash of this namespace. */
  readonly indexKey: Uint8Array
  /** Makes and opens the keys of its memories; undefined in profile `off`. */
  readonly keys: NamespaceKeys | undefined
  /** While the namespace is being encrypted: memories with a lower document may still be plain. */
  readonly plainBelow: number | undefined
  /** Terms that the namespace keeps no postings of: stored nowhere, asked for nowhere. */
  readonly commonTerms: ReadonlySet<bigint>
  /** Estimates refreshed by a job; BM25's corpus size and mean length in terms. */
  readonly documentCount: number
  readonly meanLength: number
}

/** Private memories are numbered apart from those that every agent sees (namespaces/documents.ts). */
export type DocumentSpace = 'common' | 'private'

/** What a question is prepared with, in the namespace that it is asked in. */
export type QuestionContext = Pick<PrepareContext, 'settings' | 'now' | 'signal' | 'stage'>

/** What memories are read with: one open transaction, in the namespace of the settings. */
export type ReadContext = Pick<CommitContext, 'settings' | 'now' | 'signal' | 'stage' | 'tx'>

/** What is done in each namespace that granted something, in its own settings. */
export interface GrantedWork<Prepared, Result> {
  /** No transaction is open. */
  prepare(context: QuestionContext): Promise<Prepared>
  /** Under the grant: what it does not show is not there. */
  read(context: ReadContext, prepared: Prepared): Promise<Result>
}

export interface GrantedAnswer<Result> {
  readonly found: readonly {
    readonly grant: {
      readonly id: string
      readonly namespaceName: string
      /** Subtracted from the score, which is 0 to 1. */
      readonly penalty: number
      readonly expiresAt: Date | null
    }
    readonly result: Result
  }[]
  /** Names of granting namespaces that could not be read. */
  readonly unreachable: readonly string[]
}

/** Given to `prepare`: no transaction is open, network calls are allowed. */
export interface PrepareContext {
  readonly principal: Principal
  readonly settings: NamespaceSettings
  /** Start of the request; the only clock an operation reads. */
  readonly now: Date
  readonly signal: AbortSignal
  /**
   * Reads in a short transaction of its own, under the policies and the reach of the operation: what it
   * finds may change before `commit`, which looks again under a lock.
   */
  read<T>(work: (tx: NamespaceTransaction) => Promise<T>): Promise<T>
  /** Takes `count` small document integers of the namespace, each used once ever. */
  reserveDocuments(space: DocumentSpace, count: number): Promise<number[]>
  /** Does the work under each grant that the principal's namespace holds; read only. */
  granted<Prepared, Result>(work: GrantedWork<Prepared, Result>): Promise<GrantedAnswer<Result>>
  /** Surrogate of another namespace's name; undefined when there is none. Tell nobody which it was. */
  findNamespace(name: string): Promise<bigint | undefined>
  /** Runs a step and adds its milliseconds to the request's stage timings. */
  stage<T>(name: string, step: () => T | Promise<T>): Promise<T>
  /** Milliseconds of the steps so far. */
  stages(): Readonly<Record<string, number>>
  /** Reports progress to a client that asked for it; `total` is unknown when undefined. */
  progress(done: number, total?: number): void
}

/** Given to `commit`: one open transaction in the principal's namespace, no network. */
export interface CommitContext extends PrepareContext {
  readonly tx: NamespaceTransaction
  /** To call before memories are added; throws `quota_exceeded` when the plan has no room for them. */
  reserveRoom(more: { readonly memories: number; readonly bytes: number }): Promise<void>
}

/** What an operation did, for the audit log: ids and counts, never content. */
export interface AuditDetails {
  readonly resourceIds?: readonly string[]
  readonly counts?: Readonly<Record<string, number>>
}

/** Memories that changed together for the same agents. */
export interface Touched {
  readonly ids: readonly string[]
  /** Agents that may know of them, besides administrators; undefined: every agent of the namespace. */
  readonly audience?: readonly string[]
}

export interface Committed<Output> {
  readonly output: Output
  readonly audit: AuditDetails
  /** Memories that were left out since a stored value of theirs does not decrypt. */
  readonly unreadable?: number
  /** What a write changed, for those who watch; nobody is told of anything else. */
  readonly touched?: readonly Touched[]
}

export interface Operation<
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
  Prepared = unknown,
> {
  readonly name: OperationName
  readonly title: string
  /** One paragraph for a model or a developer: what it does and when to use it. */
  readonly description: string
  readonly scope: Scope
  /** The tool it is part of, where that is not its own name: a key that may use the tool may use it. */
  readonly tool?: string
  readonly effect: 'read' | 'write' | 'delete'
  readonly input: Input
  readonly output: Output
  /**
   * Quarantined memories in its transaction. `hidden` (when left out): they do not exist. `reached`: it
   * may add, count or delete them, and shows none. `shown`: it answers with them, which needs `admin`.
   */
  quarantine?(input: z.output<Input>): 'hidden' | 'reached' | 'shown'
  /** True when running it twice with this input changes nothing more than running it once. */
  isIdempotent(input: z.output<Input>): boolean
  prepare(context: PrepareContext, input: z.output<Input>): Promise<Prepared>
  commit(
    context: CommitContext,
    prepared: Prepared,
    input: z.output<Input>,
  ): Promise<Committed<z.output<Output>>>
}

/** What a caller must be allowed before an operation runs. */
export interface NeededOperation extends Pick<Operation, 'name' | 'scope' | 'tool'> {
  /** Scopes that what was asked for needs besides. */
  readonly furtherScopes?: readonly Scope[]
}
