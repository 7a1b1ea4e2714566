/** Who is asking. Made once at the edge, the only source of identity below it. Types and scopes. */

export type Scope =
  'memory:read' | 'memory:write' | 'memory:forget' | 'memory:export' | 'audit:read' | 'admin'

export const allScopes = [
  'memory:read',
  'memory:write',
  'memory:forget',
  'memory:export',
  'audit:read',
  'admin',
] as const satisfies readonly Scope[]

/** What a client on this computer, or with the one configured key, may do as its agent. */
export const agentScopes: readonly Scope[] = allScopes.filter((scope) => scope !== 'admin')

/** The name under which jobs work and are audited: no key and no token acts under it. */
export const jobAgent = 'mindglue'

/** The channel a request came through; the server decides it, never the client. */
export type Channel = 'stdio' | 'mcp-http' | 'rest' | 'cli' | 'job'

/** Name and version that a protocol client gave of itself. */
export interface ClientName {
  readonly name: string
  readonly version: string
}

/** The API key or access token behind a request, as far as it narrows what the scopes allow. */
export interface Credential {
  /** Only who holds a token can ask its issuer for more scopes. */
  readonly kind: 'api-key' | 'access-token'
  /** UUID of the key; of a token what stays when it is refreshed: a digest of issuer, subject and client. */
  readonly id: string
  /** The key's own limit, below that of its namespace; undefined: none. */
  readonly requestsPerMinute: number | undefined
  /** Names of the only tools the key may see and call; undefined: every one. */
  readonly tools: ReadonlySet<string> | undefined
}

export interface Principal {
  /** Immutable surrogate of the namespace: first column of every key. */
  readonly namespace: bigint
  readonly namespaceName: string
  /** The agent acting; owner of what it stores. */
  readonly agent: string
  readonly scopes: ReadonlySet<Scope>
  readonly channel: Channel
  /** What the client calls itself: a claim, cleaned and bounded; undefined when it said nothing. */
  readonly client?: ClientName | undefined
  /** UUIDv7 of this request; in logs, audit and error replies. */
  readonly requestId: string
  /** Undefined for the operating-system user, the configured key, and jobs. */
  readonly credential?: Credential | undefined
}

/** False for a credential that is narrowed to other tools; whoever has none, or one for every tool, may use it. */
export function mayUseTool({ credential }: Pick<Principal, 'credential'>, tool: string): boolean {
  return credential?.tools?.has(tool) ?? true
}
