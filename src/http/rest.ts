/** REST over the operations: routes requests, and writes answers. The work and every check are in `execute`. */
import { Hono, type Context } from 'hono'
import { accepts } from 'hono/accepts'
import { AppError } from '../errors.ts'
import type { Execute } from '../execute.ts'
import type { Operations } from '../operations.ts'
import type { Principal } from '../principal.ts'
import type { Mount, Page } from './entrance.ts'
import { openApiDocument } from './openapi.ts'
import { referencePage } from './reference.ts'
import { readInput } from './request-input.ts'
import type { Reply, Route } from './route.ts'
import { createRoutes } from './routes.ts'

/** What REST needs of the application. */
export interface RestHost {
  readonly execute: Execute
  readonly operations: Operations
  /** False once the credential of a running request is no longer accepted. */
  readonly isCurrent: (principal: Principal) => Promise<boolean>
  /** Who issues access tokens; undefined where nobody does. */
  readonly issuer?: string | undefined
}

export interface Rest {
  /** Takes every path that no mount before it took. */
  readonly mount: Mount
  /** The OpenAPI document and the same to read, for anybody: they say nothing of what is stored. */
  readonly pages: readonly Page[]
}

interface Environment {
  Bindings: { readonly principal: Principal }
}

/** Builds the routes and the document once. `routes`: others than the product's, for tests. */
export function createRest(
  host: RestHost,
  routes: readonly Route[] = createRoutes(host.operations),
): Rest {
  const app = new Hono<Environment>()
  // The entrance writes every problem, whoever threw it.
  app.onError((error) => {
    throw error
  })
  app.notFound(() => {
    throw new AppError('not_found', 'There is nothing at this address; see /docs.')
  })
  for (const [path, methods] of byPath(routes)) {
    const address = path.replaceAll(/\{(\w+)\}/gu, ':$1')
    for (const route of methods) {
      app.on(route.method, address, async (context) => await serve(host, route, context))
    }
    app.all(address, () => {
      const allow = methods
        .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
        .join(', ')
      throw new AppError('method_not_allowed', `Here you may use: ${allow}.`, {
        details: { allow },
      })
    })
  }
  return {
    mount: {
      path: '*',
      channel: 'rest',
      handle: async (request, principal) => await app.fetch(request, { principal }),
      // A streamed export runs to its end, or is cut when the time for draining is over.
      close: () => Promise.resolve(),
    },
    pages: pagesOf(routes, host.issuer),
  }
}

/** Routes by path; paths without parameters first, since `/memory/export` is no id. */
function byPath(routes: readonly Route[]): readonly (readonly [string, readonly Route[]])[] {
  const paths = [...new Set(routes.map(({ path }) => path))]
  return paths
    .toSorted((a, b) => Number(a.includes('{')) - Number(b.includes('{')))
    .map((path) => [path, routes.filter((route) => route.path === path)])
}

function pagesOf(routes: readonly Route[], issuer: string | undefined): readonly Page[] {
  const document = openApiDocument(routes, issuer)
  const json = JSON.stringify(document)
  const reference = referencePage(document)
  const page = (path: string, body: string, headers: Readonly<Record<string, string>>) => ({
    path,
    handle: () =>
      new Response(body, {
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      }),
  })
  return [
    page('/openapi.json', json, { 'content-type': 'application/json' }),
    page('/docs', reference.html, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': reference.policy,
    }),
  ]
}

async function serve(
  { execute, isCurrent }: RestHost,
  route: Route,
  context: Context<Environment>,
): Promise<Response> {
  const { principal } = context.env
  const request = context.req.raw
  const input = await readInput(route, request, context.req.param())
  const options = { signal: request.signal }
  const call = { execute, principal, input, options, isCurrent }
  try {
    const mediaType = wantedType(route, context)
    if (mediaType !== undefined) return await route.stream(call, mediaType)
    return write(context.req.url, await route.run(call))
  } catch (error) {
    throw request.headers.has('if-match') ? asFailedPrecondition(error) : error
  }
}

/** The media type to stream in; undefined for a plain answer in JSON. */
function wantedType({ streams }: Route, context: Context<Environment>): string | undefined {
  if (streams.length === 0) return undefined
  const json = 'application/json'
  const supports = [json, ...streams]
  const type = accepts(context, { header: 'Accept', supports, default: json })
  return type === json ? undefined : type
}

function write(address: string, { status, body, headers = {}, next }: Reply): Response {
  const text = JSON.stringify(body)
  return new Response(text, {
    status,
    headers: {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(text)),
      ...headers,
      ...(next && { link: nextLink(address, next) }),
    },
  })
}

/** RFC 8288, relative to this server: the name it has outside is not ours to know. */
function nextLink(address: string, changes: Readonly<Record<string, string>>): string {
  const url = new URL(address)
  for (const [name, value] of Object.entries(changes)) url.searchParams.set(name, value)
  return `<${url.pathname}${url.search}>; rel="next"`
}

/** Another version than the one that was named: the condition failed, and nothing else is in conflict. */
function asFailedPrecondition(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'conflict') return error
  const { publicMessage, details, cause } = error
  return new AppError('precondition_failed', publicMessage, {
    cause,
    ...(details !== undefined && { details }),
  })
}
