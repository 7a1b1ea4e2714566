/** What the protocol needs from the application; `App` has this shape. No import points up to it. */
import type { z } from 'zod'
import type { Config } from '../config.ts'
import type { Authorize, Charge, Execute } from '../execute.ts'
import type { Operations } from '../operations.ts'
import type { Channel, Principal } from '../principal.ts'

/** The operations behind the default tools, which resources and prompts read through too, and completion. */
export type McpOperations = Pick<
  Operations,
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
  | 'entityNames'
  | 'grantCreate'
  | 'grantList'
  | 'grantRevoke'
>

export type StoreOutput = z.output<McpOperations['store']['output']>
export type RecallOutput = z.output<McpOperations['recall']['output']>
export type ForgetOutput = z.output<McpOperations['forget']['output']>
export type ExportOutput = z.output<McpOperations['export']['output']>

/** A change of memories; ids only. */
export interface MemoryChange {
  readonly namespace: bigint
  readonly memoryIds: readonly string[]
  readonly action: 'stored' | 'forgotten'
  /** Agents that may know, besides administrators; undefined: every agent of the namespace. */
  readonly audience?: readonly string[]
}

export interface McpHost {
  readonly config: Pick<Config, 'connectorTools'>
  /** The one way to run an operation. Throws only AppError. */
  readonly execute: Execute
  /** Refuses, with its trace in the audit log, what `execute` would refuse for want of a scope. */
  readonly authorize: Authorize
  /** Counts a request that runs no operation against its principal's limits. */
  readonly charge: Charge
  readonly operations: McpOperations
  principal(options: {
    readonly namespaceName: string
    readonly agent: string
    readonly channel: Channel
    readonly requestId?: string
  }): Promise<Principal>
  readonly events: {
    onChange(listener: (change: MemoryChange) => void): () => void
  }
  /** What the namespace is to keep and what never; undefined where nothing is said. Throws AppError. */
  instructions(principal: Principal): Promise<string | undefined>
  /** 32 secret bytes, the same on every process of an installation. */
  secret(purpose: 'confirmation'): Uint8Array
}
