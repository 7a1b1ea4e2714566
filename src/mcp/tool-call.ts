/** A tool call as its parts see it. Types only. */
import type { RequestStateCodec, ServerContext } from '@modelcontextprotocol/server'
import type { Principal } from '../principal.ts'

export interface ToolCall {
  readonly principal: Principal
  /** Arguments as the client sent them; the operation validates. */
  readonly input: Readonly<Record<string, unknown>>
  readonly context: ServerContext
  readonly confirmation: Confirmation
}

/** How to ask a person within one protocol server, for one principal. */
export interface Confirmation {
  readonly codec: RequestStateCodec<QuestionState>
  /** False when nobody can be asked on this connection. */
  canAsk(context: ServerContext): boolean
}

/**
 * What a question carries to its answer. Signed, not secret: the token lets a caller do only what
 * that caller may do anyway.
 */
export interface QuestionState {
  readonly token: string
  /** Of the arguments asked about, so that an answer cannot confirm another request. */
  readonly digest: string
  readonly memories: number
  readonly versions: number
}
