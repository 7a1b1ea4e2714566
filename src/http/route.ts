/** What a REST route is: an operation, where its input comes from, and how its output is answered. */
import type { z } from 'zod'
import type { Execute, ExecuteOptions } from '../execute.ts'
import type { Operation } from '../operation.ts'
import type { Principal } from '../principal.ts'
import { inputFields, jsonSchema, type JsonSchema } from './json-schema.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** What a route tells in header fields. */
export type SentField = 'ETag' | 'Link' | 'Location'

/** An answer before it is written. */
export interface Reply {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Query of the page after this one, on top of the request's own. */
  readonly next?: Readonly<Record<string, string>> | undefined
}

/** One request of a route, once it is known who asks for what. */
export interface RouteCall {
  readonly execute: Execute
  readonly principal: Principal
  readonly input: Readonly<Record<string, unknown>>
  readonly options: ExecuteOptions
  /** False once the credential of the request is no longer accepted. */
  readonly isCurrent: (principal: Principal) => Promise<boolean>
}

export interface Route {
  /** `operationId`: the name of its function in a generated client. */
  readonly id: string
  readonly method: Method
  /** As OpenAPI writes it, such as `/memory/{id}`. */
  readonly path: string
  readonly title: string
  readonly description: string
  readonly operation: Operation
  /** What a request gives: in the query of GET and DELETE, else as members of the body. */
  readonly fields: Readonly<Record<string, JsonSchema>>
  readonly required: readonly string[]
  readonly pathParameters: Readonly<Record<string, JsonSchema>>
  /** Every field of the operation; a header can stand for some of them. */
  readonly known: ReadonlySet<string>
  /** Statuses of success, the usual one first. */
  readonly statuses: readonly number[]
  readonly response: JsonSchema
  /** Header fields of success, besides those that every answer has. */
  readonly sends: readonly SentField[]
  /** Media types that the whole answer can be streamed in. */
  readonly streams: readonly string[]
  /** What the path says, as fields of the input. */
  fromPath(parameters: Readonly<Record<string, string>>): Readonly<Record<string, unknown>>
  /** Throws AppError. */
  run(call: RouteCall): Promise<Reply>
  stream(call: RouteCall, mediaType: string): Promise<Response>
}

/** How a route differs from the operation's plain form: every field in, the output out, status 200. */
export interface Shape<Output> {
  readonly title?: string
  readonly description?: string
  /** The only fields that a request may give; all of the operation's when left out. */
  readonly only?: readonly string[]
  /** Fields of the operation that this route has nothing to do with. */
  readonly without?: readonly string[]
  /** Fields that this route needs although the operation has other ways. */
  readonly required?: readonly string[]
  /** Parameters in the path. */
  readonly path?: Readonly<Record<string, z.ZodType>>
  fromPath?(parameters: Readonly<Record<string, string>>): Readonly<Record<string, unknown>>
  readonly statuses?: readonly number[]
  readonly response?: z.ZodType
  /** Header fields of success; a `Link` to the page after this one need not be said. */
  readonly sends?: readonly SentField[]
  /** Throws AppError for an output that is a refusal over HTTP. */
  reply?(output: Output): Partial<Reply>
  /** Query of the page after this one; without it `next_cursor` of a GET is followed. */
  readonly next?: (
    output: Output,
    input: Readonly<Record<string, unknown>>,
  ) => Readonly<Record<string, string>> | undefined
  readonly streams?: readonly string[]
  stream?(call: RouteCall, mediaType: string): Promise<Response>
}

/** Makes a route. Throws when the shape names a field that the operation does not have. */
export function route<Input extends z.ZodType, Output extends z.ZodType, Prepared>(
  id: string,
  method: Method,
  path: string,
  operation: Operation<Input, Output, Prepared>,
  shape: Shape<z.output<Output>> = {},
): Route {
  const { properties, required } = inputFields(operation.input)
  const isTaken = takes(id, properties, shape)
  const fields = Object.fromEntries(Object.entries(properties).filter(([name]) => isTaken(name)))
  const response = jsonSchema(shape.response ?? operation.output, 'output')
  const isPaged = shape.next !== undefined || (method === 'GET' && hasCursor(response))
  return {
    id,
    method,
    path,
    title: shape.title ?? operation.title,
    description: shape.description ?? operation.description,
    operation,
    fields,
    required: [...required.filter(isTaken), ...(shape.required ?? [])],
    pathParameters: Object.fromEntries(
      Object.entries(shape.path ?? {}).map(([name, type]) => [name, jsonSchema(type, 'input')]),
    ),
    known: new Set(Object.keys(properties)),
    statuses: shape.statuses ?? [200],
    response,
    sends: [...(shape.sends ?? []), ...(isPaged ? (['Link'] as const) : [])],
    streams: shape.streams ?? [],
    fromPath: (parameters) => shape.fromPath?.(parameters) ?? parameters,
    async run({ execute, principal, input, options }) {
      const output = await execute(operation, principal, input, options)
      const next = shape.next ?? (method === 'GET' ? nextCursor : undefined)
      return { status: 200, body: output, next: next?.(output, input), ...shape.reply?.(output) }
    },
    stream(call, mediaType) {
      if (shape.stream === undefined) throw new TypeError(`${id} does not stream`)
      return shape.stream(call, mediaType)
    },
  }
}

function takes(
  id: string,
  properties: Readonly<Record<string, JsonSchema>>,
  { only, without = [], path = {}, required = [] }: Shape<never>,
): (name: string) => boolean {
  const unknown = [...(only ?? []), ...without, ...required].find(
    (name) => !Object.hasOwn(properties, name),
  )
  if (unknown !== undefined) throw new TypeError(`${id} has no field ${unknown}`)
  return (name) =>
    (only?.includes(name) ?? true) && !without.includes(name) && !Object.hasOwn(path, name)
}

function hasCursor({ properties }: JsonSchema): boolean {
  return typeof properties === 'object' && properties !== null && 'next_cursor' in properties
}

function nextCursor(output: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof output !== 'object' || output === null) return undefined
  const { next_cursor: cursor }: { next_cursor?: unknown } = output
  return typeof cursor === 'string' ? { cursor } : undefined
}
