/** Routes → one OpenAPI 3.1 document. */
import { version } from '../version.ts'
import { jsonSchema, type JsonSchema } from './json-schema.ts'
import { problemDocument } from './problem.ts'
import type { Route } from './route.ts'

export interface OpenApiParameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly description?: string
  readonly schema: JsonSchema
}

export interface OpenApiResponse {
  readonly description: string
  readonly headers: Readonly<Record<string, JsonSchema>>
  readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>
}

export interface OpenApiOperation {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly tags: readonly string[]
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters: readonly OpenApiParameter[]
  readonly requestBody?: {
    readonly required: boolean
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>
  }
  readonly responses: Readonly<Record<string, OpenApiResponse>>
}

export interface OpenApiDocument {
  readonly openapi: '3.1.1'
  readonly info: Readonly<Record<string, string>>
  readonly externalDocs: { readonly description: string; readonly url: string }
  readonly servers: readonly { readonly url: string }[]
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  /** Path → method → operation. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, object>>
    readonly headers: Readonly<Record<string, object>>
    readonly schemas: Readonly<Record<string, JsonSchema>>
  }
}

const json = 'application/json'

const text = { type: 'string' }
const headers = {
  'X-Request-Id': { description: 'Stands in the log and the audit.', schema: text },
  RateLimit: { description: 'How the tightest limit stands, where there is one.', schema: text },
  'RateLimit-Policy': { description: 'Every limit, where there is one.', schema: text },
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 0 } },
  'WWW-Authenticate': { description: 'What is missing, with 401 and 403.', schema: text },
  ETag: { description: 'Of the memory as it is now, for `If-Match`.', schema: text },
  Link: { description: 'The next page, or every version of a memory (RFC 8288).', schema: text },
  Location: { description: 'Address of the memory.', schema: text },
} as const satisfies Record<string, object>
const ofEveryAnswer = ['X-Request-Id', 'RateLimit', 'RateLimit-Policy'] as const

/**
 * Schemas of bodies and answers are components named after the operation, so that clients have types. `issuer`: who
 * issues access tokens, where somebody does.
 */
export function openApiDocument(
  routes: readonly Route[],
  issuer: string | undefined,
): OpenApiDocument {
  const securitySchemes = schemesOf(issuer)
  const paths: Record<string, Record<string, OpenApiOperation>> = {}
  const schemas: Record<string, JsonSchema> = { Problem: jsonSchema(problemDocument, 'output') }
  for (const route of routes) {
    const name = `${route.id.charAt(0).toUpperCase()}${route.id.slice(1)}`
    schemas[`${name}Response`] = route.response
    if (hasBody(route)) schemas[`${name}Request`] = bodySchema(route)
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: {
        ...describe(route, name),
        security: Object.keys(securitySchemes).map((scheme) => ({
          [scheme]: [route.operation.scope],
        })),
      },
    }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'MindGlue',
      version,
      summary: 'Memory for AI agents.',
      description:
        'The same operations as over MCP, with the same rights, limits and audit. Errors are problem details (RFC 9457) with a `code`; `retryable` says whether the same request may succeed later. Accounts of people (`/account/…`) and the authorization server (`/oauth/…`) are described in `docs/auth.md`.',
    },
    externalDocs: {
      description: 'Who may call: keys, tokens, accounts, clients',
      url: 'https://github.com/mindglue/mindglue/blob/main/docs/auth.md',
    },
    servers: [{ url: '/' }],
    security: Object.keys(securitySchemes).map((scheme) => ({ [scheme]: [] })),
    paths,
    components: { securitySchemes, headers, schemas },
  }
}

/** Each is enough. Where nobody issues tokens a key is all there is. */
function schemesOf(issuer: string | undefined): Readonly<Record<string, object>> {
  const bearer = { type: 'http', scheme: 'bearer' }
  const apiKey = { ...bearer, description: 'An API key: mindglue api-keys.' }
  if (issuer === undefined) return { apiKey }
  const description = `An access token of ${issuer}.`
  const openIdConnectUrl = `${issuer.replace(/\/$/u, '')}/.well-known/openid-configuration`
  return {
    apiKey,
    accessToken: { ...bearer, bearerFormat: 'JWT', description },
    issuer: { type: 'openIdConnect', openIdConnectUrl, description },
  }
}

function describe(route: Route, name: string): Omit<OpenApiOperation, 'security'> {
  return {
    operationId: route.id,
    summary: route.title,
    description: `${route.description} Needs the scope \`${route.operation.scope}\`.`,
    tags: [route.path.split('/')[1] ?? ''],
    parameters: parametersOf(route),
    ...(hasBody(route) && {
      requestBody: { required: route.required.length > 0, content: content(`${name}Request`) },
    }),
    responses: {
      ...Object.fromEntries(route.statuses.map((status) => [status, success(route, name, status)])),
      default: {
        description: 'A refusal or a failure, as problem details.',
        headers: headerReferences([...ofEveryAnswer, 'Retry-After', 'WWW-Authenticate']),
        content: { 'application/problem+json': { schema: reference('Problem') } },
      },
    },
  }
}

function hasBody({ method }: Route): boolean {
  return method === 'POST' || method === 'PATCH'
}

function bodySchema({ fields, required }: Route): JsonSchema {
  return { type: 'object', properties: fields, required, additionalProperties: false }
}

function parametersOf(route: Route): readonly OpenApiParameter[] {
  const path = Object.entries(route.pathParameters).map(([name, schema]) => ({
    ...parameter(name, schema, 'path'),
    required: true,
  }))
  const query = hasBody(route)
    ? []
    : Object.entries(route.fields).map(([name, schema]) => ({
        ...parameter(name, schema, 'query'),
        ...(route.required.includes(name) && { required: true }),
      }))
  return [...path, ...query, ...headersOf(route)]
}

function parameter(
  name: string,
  { description, ...schema }: JsonSchema,
  place: OpenApiParameter['in'],
): OpenApiParameter {
  return { name, in: place, ...(typeof description === 'string' && { description }), schema }
}

function headersOf(route: Route): readonly OpenApiParameter[] {
  const header = (name: string, description: string): OpenApiParameter => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string', maxLength: 256 },
  })
  return [
    ...(route.known.has('idempotency_key')
      ? [header('Idempotency-Key', 'Repeat a request with the same key and it is done once.')]
      : []),
    ...(route.known.has('expected_version')
      ? [header('If-Match', 'The ETag of the version that the change is meant for, else 412.')]
      : []),
  ]
}

function success(route: Route, name: string, status: number): OpenApiResponse {
  const streams = route.streams.map((type) => [type, { schema: { type: 'string' } }] as const)
  return {
    description: status === 201 ? 'Made.' : 'Done.',
    headers: headerReferences([...ofEveryAnswer, ...route.sends]),
    content: { ...content(`${name}Response`), ...Object.fromEntries(streams) },
  }
}

function headerReferences(names: readonly (keyof typeof headers)[]): Record<string, JsonSchema> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

function content(name: string): Readonly<Record<string, { readonly schema: JsonSchema }>> {
  return { [json]: { schema: reference(name) } }
}

function reference(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` }
}
