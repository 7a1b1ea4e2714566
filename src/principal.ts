/** Who is asking. Made once at the edge, the only source of identity below it. Types and scopes. */

export type Scope =
  'memory:read' | 'memory:write' | 'memory:forget' | 'memory:export' | 'audit:read' | 'admin'

export const allScopes: readonly Scope[] = [
  'memory:read',
  'memory:write',
  'memory:forget',
  'memory:export',
  'audit:read',
  'admin',
]

/** What a client on this computer, or with the one configured key, may do as its agent. */
export const agentScopes: readonly Scope[] = allScopes.filter((scope) => scope !== 'admin')

/** The channel a request came through; the server decides it, never the client. */
export type Channel = 'stdio' | 'mcp-http' | 'rest' | 'cli' | 'job'

/** Name and version that a protocol client gave of itself. */
export interface ClientName {
  readonly name: string
  readonly version: string
}

export interface Principal {
  /** Immutable surrogate of the namespace: first column of every key. */
  readonly namespace: bigint
  readonly namespaceName: string
  /** The agent acting; owner of what it stores. */
  readonly agent: string
  readonly scopes: ReadonlySet<Scope>
  readonly plan: string
  readonly channel: Channel
  /** What the client calls itself: a claim, cleaned and bounded; undefined when it said nothing. */
  readonly client?: ClientName | undefined
  /** UUIDv7 of this request; in logs, audit and error replies. */
  readonly requestId: string
}
