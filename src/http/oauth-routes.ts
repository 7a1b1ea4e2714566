/** OAuth over HTTP: the library's endpoints, registration, the pages for people, and the way back to a client. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Scope } from '../principal.ts'
import type { Caller, OpenRoute } from './entrance.ts'
import { nodeAnswer } from './node-answer.ts'
import { createLogin, type LoginOptions } from './login.ts'
import { ownClientsRoute } from './oauth-clients.ts'
import { consentRoute, type ConsentOptions } from './oauth-consent.ts'
import { backPage, problemPage, strayPage } from './oauth-pages.ts'
import { oauthPaths } from './oauth-paths.ts'
import { idleCookie } from './oauth-provider.ts'
import { pageFields } from './page.ts'
import { firstScopes } from './protected-resource.ts'

export type OAuthRoutesOptions = Omit<ConsentOptions, 'login'> & LoginOptions

export function oauthRoutes(options: OAuthRoutesOptions): OpenRoute {
  const { accounts, clients, provider, origin, scopes } = options
  const login = createLogin(options)
  const consent = consentRoute({ ...options, login })
  const ownClients = ownClientsRoute({ ...options, login })

  const register = async (request: Request, { address }: Caller): Promise<Response> => {
    await accounts.introduceClient(address)
    const metadata = await clients.register(await request.json().catch(() => undefined))
    const issuedAt = Math.floor(Date.now() / 1000)
    return Response.json({ ...metadata, client_id_issued_at: issuedAt }, { status: 201 })
  }

  const serve = async (request: Request, { address }: Caller): Promise<Response> => {
    const url = new URL(request.url)
    if (url.pathname === oauthPaths.authorize) {
      await accounts.introduceClient(address)
      refuseOtherModes(url)
      addUsualScopes(url, scopes)
    }
    const answer = await nodeAnswer(new Request(url, request), origin, (...pair) =>
      provider.handle(...pair),
    )
    if (metadata.has(url.pathname)) return await withoutMore(answer)
    const kept = answer.headers.getSetCookie().filter((line) => !line.startsWith(idleCookie))
    answer.headers.delete('set-cookie')
    for (const line of kept) answer.headers.append('set-cookie', line)
    const to = answer.headers.get('location')
    if (to === null || to.startsWith('/') || to.startsWith(`${origin}/`)) return answer
    const isDecided = url.pathname.startsWith(`${oauthPaths.authorize}/`)
    // An app or a port of the person's own device is no place to be lured to, and waits for the error.
    if (!isDecided && new URL(to).protocol !== 'https:') return answer
    // Not a redirect: after a form, browsers hold every address on the way to the page's own policy.
    answer.headers.delete('location')
    const headers = new Headers({ ...Object.fromEntries(answer.headers), ...pageFields })
    headers.delete('content-length')
    for (const line of kept) headers.append('set-cookie', line)
    if (isDecided) return new Response(backPage(to), { status: 200, headers })
    return new Response(strayPage(to), { status: 400, headers })
  }

  return {
    paths: [...oauthPaths.metadata, '/oauth/*'],
    protocolPaths: [
      ...oauthPaths.metadata,
      oauthPaths.register,
      oauthPaths.token,
      oauthPaths.revoke,
    ],
    async handle(request, caller) {
      const { pathname } = new URL(request.url)
      const { method } = request
      try {
        if (pathname === oauthPaths.register && method === 'POST') {
          return await register(request, caller)
        }
        if (pathname === oauthPaths.clients) return await ownClients(request, caller)
        if (!pathname.startsWith(`${oauthPaths.question}/`)) return await serve(request, caller)
        return await consent(request, caller)
      } catch (error) {
        return refusal(error, request)
      }
    },
  }
}

/** RFC 7591 §3.2.2 for programs, a page for people; what is nobody's fault is answered as everywhere. */
function refusal(error: unknown, request: Request): Response {
  if (!(error instanceof AppError) || error.code !== 'invalid_input') throw error
  const { httpStatus: status, publicMessage: text, details } = error
  if (request.headers.get('accept')?.includes('text/html') === true) {
    return new Response(problemPage(text), { status, headers: pageFields })
  }
  const body = { error: details?.['error'] ?? 'invalid_request', error_description: text }
  return Response.json(body, { status })
}

const metadata: ReadonlySet<string> = new Set(oauthPaths.metadata)

/** An answer in the address alone: a form to another site would need a script. */
function refuseOtherModes(url: URL): void {
  const modes = url.searchParams.getAll('response_mode')
  if (modes.every((mode) => mode === 'query')) return
  throw new AppError('invalid_input', 'Only response_mode=query is served here.')
}

/** Without what the library always says, and is not served here. */
async function withoutMore(answer: Response): Promise<Response> {
  const shape = z.looseObject({ scopes_supported: z.array(z.string()) })
  const { scopes_supported: named, ...document } = shape.parse(await answer.json())
  const scopes = named.filter((scope) => scope !== 'openid')
  return Response.json({
    ...document,
    scopes_supported: scopes,
    response_modes_supported: ['query'],
  })
}

/** A client that asks for nothing we know gets asked for what everybody starts with. */
function addUsualScopes(url: URL, scopes: readonly Scope[]): void {
  const asked = url.searchParams.getAll('scope')
  const words = asked[0]?.split(' ') ?? []
  if (asked.length > 1 || scopes.some((scope) => words.includes(scope))) return
  const start = firstScopes.filter((scope) => scopes.includes(scope))
  url.searchParams.set('scope', [...words, ...start].join(' '))
}
