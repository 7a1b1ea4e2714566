/** What a REST request says → the input of its operation. Refuses what the route does not take. */
import { AppError } from '../errors.ts'
import { parseJson } from '../json.ts'
import type { JsonSchema } from './json-schema.ts'
import type { Route } from './route.ts'

type Fields = Record<string, unknown>

/** Input from path, query or body, and headers. Types of values are the operation's to check. */
export async function readInput(
  route: Route,
  request: Request,
  path: Readonly<Record<string, string>>,
): Promise<Fields> {
  const hasBody = route.method === 'POST' || route.method === 'PATCH'
  const query = new URL(request.url).searchParams
  if (hasBody && query.size > 0) throw invalid('', 'this takes a body and no query')
  const given = hasBody ? await readBody(request) : readQuery(query, route.fields)
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(route.fields, name)) throw invalid(ownName(name), 'is not taken here')
  }
  const input = { ...given, ...route.fromPath(path) }
  addIdempotencyKey(route, request.headers, input)
  addExpectedVersion(route, request.headers, input)
  return input
}

/** One JSON object in UTF-8; no body at all is an empty one. */
async function readBody(request: Request): Promise<Fields> {
  const bytes = await request.arrayBuffer()
  if (bytes.byteLength === 0) return {}
  if (!/^application\/json *(?:;|$)/iu.test(request.headers.get('content-type') ?? '')) {
    throw new AppError('unsupported_media_type', 'Send the body as Content-Type: application/json.')
  }
  const body = parsed(bytes)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('', 'the body must be one JSON object')
  }
  return { ...body }
}

function parsed(bytes: ArrayBuffer): unknown {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw invalid('', 'the body is no valid JSON in UTF-8')
  }
}

/** Names may repeat where the field is a list. */
function readQuery(query: URLSearchParams, fields: Route['fields']): Fields {
  return Object.fromEntries(
    [...new Set(query.keys())].map((name) => [name, fromText(query.getAll(name), fields[name])]),
  )
}

function fromText(texts: readonly string[], schema: JsonSchema | undefined): unknown {
  if (schema?.['type'] === 'array')
    return texts.map((text) => scalar(text, typeOf(schema['items'])))
  const values = texts.map((text) => scalar(text, schema?.['type']))
  return values.length === 1 ? values[0] : values
}

function typeOf(schema: unknown): unknown {
  return typeof schema === 'object' && schema !== null && 'type' in schema ? schema.type : undefined
}

/** What does not look like the type stays text, and the operation says what it wants instead. */
function scalar(text: string, type: unknown): unknown {
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  const isNumeric = type === 'number' || type === 'integer'
  return isNumeric && /^-?\d{1,16}(?:\.\d{1,16})?$/u.test(text) ? Number(text) : text
}

/** The value of the header as a structured string (draft-ietf-httpapi-idempotency-key-header), or bare. */
function addIdempotencyKey({ known, operation }: Route, headers: Headers, input: Fields): void {
  const header = headers.get('idempotency-key')
  if (header === null) return
  if (known.has('idempotency_key')) {
    const key = /^"(?<key>.*)"$/u.exec(header)?.groups?.['key'] ?? header
    if (input['idempotency_key'] !== undefined && input['idempotency_key'] !== key) {
      throw invalid('idempotency_key', 'differs from the Idempotency-Key header')
    }
    input['idempotency_key'] = key
    return
  }
  // A promise that could not be kept: what repeats safely by itself needs no key.
  const parsedInput = operation.input.safeParse(input)
  if (parsedInput.success && !operation.isIdempotent(parsedInput.data)) {
    throw new AppError(
      'unsupported',
      'This takes no Idempotency-Key: sent twice, it is done twice.',
    )
  }
}

/**
 * `If-Match` names the version that the change is meant for (RFC 9110 §13.1.1). How long the memory lives, which the
 * tag says behind it, is no part of the condition: pinning takes nothing from a change that comes after it.
 */
function addExpectedVersion({ known, operation }: Route, headers: Headers, input: Fields): void {
  const header = headers.get('if-match')
  if (header === null || operation.effect === 'read' || header.trim() === '*') return
  if (!known.has('expected_version')) {
    throw new AppError('unsupported', 'If-Match is not looked at here; leave it out.')
  }
  const tag = /^"(?<version>\d{1,9})(?:-pinned|-until-\d{1,16})?"$/u.exec(header.trim())
  const version = tag?.groups?.['version']
  if (version === undefined) {
    throw new AppError('precondition_failed', 'If-Match names no version: send the ETag as it was.')
  }
  input['expected_version'] = Number(version)
}

function invalid(path: string, message: string): AppError {
  return new AppError(
    'invalid_input',
    `Invalid arguments: ${path === '' ? '' : `${path}: `}${message}`,
    { details: { issues: [{ path, message }] } },
  )
}

/** Names of our own fields look like this; any other may hold content and is not repeated. */
function ownName(name: string): string {
  return /^[a-z][a-z_]{0,30}$/u.test(name) ? name : '*'
}
