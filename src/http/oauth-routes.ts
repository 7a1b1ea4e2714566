/** OAuth over HTTP: the library's endpoints, registration, and the pages on which a person decides. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Accounts } from '../accounts/accounts.ts'
import type { ClientMetadata } from '../accounts/client-metadata.ts'
import type { Clients } from '../accounts/clients.ts'
import { emailAddress } from '../accounts/email.ts'
import { scopesOf } from '../accounts/roles.ts'
import type { Session } from '../accounts/session-tokens.ts'
import { AppError } from '../errors.ts'
import type { Scope } from '../principal.ts'
import type { Caller, OpenRoute } from './entrance.ts'
import { nodeAnswer } from './node-answer.ts'
import { backPage, consentPage, loginPage, pageFields, problemPage } from './oauth-pages.ts'
import { idleCookie, oauthPaths, type OAuthProvider } from './oauth-provider.ts'
import { firstScopes } from './protected-resource.ts'
import { sessionCookie } from './session-cookie.ts'

export interface OAuthRoutesOptions {
  readonly accounts: Accounts
  readonly clients: Clients
  readonly provider: OAuthProvider
  /** Origin under which people reach this server. */
  readonly origin: string
  /** Scopes that a client may ask for. */
  readonly scopes: readonly Scope[]
  /** 32 secret bytes. */
  readonly formKey: Uint8Array
}

/** What a client wants of a person. */
interface Question {
  readonly uid: string
  readonly client: ClientMetadata
  readonly redirectUri: string
  readonly asked: readonly Scope[]
}

const parameters = z.object({
  client_id: z.string(),
  redirect_uri: z.string(),
  scope: z.string().default(''),
})

/** Ticked where a client asks for them; anything else a person ticks, or a client that comes back for it. */
const usual: ReadonlySet<Scope> = new Set(firstScopes)

export function oauthRoutes(options: OAuthRoutesOptions): OpenRoute {
  const { accounts, clients, provider, origin, scopes, formKey } = options
  const cookie = sessionCookie(origin)

  /** The library knows requests of `node:http` alone; of this one it reads the cookies. */
  const withCookies = async <T>(
    request: Request,
    work: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<T>,
  ): Promise<T> => {
    const bare = new Request(request.url, {
      headers: { cookie: request.headers.get('cookie') ?? '' },
    })
    const done: T[] = []
    await nodeAnswer(bare, origin, async (incoming, outgoing) => {
      done.push(await work(incoming, outgoing))
      outgoing.end()
    })
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- pushed before the answer ended
    return done[0] as T
  }

  const readQuestion = async (request: Request): Promise<Question> => {
    const found = await withCookies(request, (...pair) => provider.question(...pair)).catch(
      () => undefined,
    )
    const isHere =
      found !== undefined && new URL(request.url).pathname === `${oauthPaths.question}/${found.uid}`
    const client = isHere ? await clientOf(found) : undefined
    if (!isHere || client === undefined) throw expired()
    const { redirect_uri: redirectUri, scope } = parameters.parse(found.params)
    const asked = scopes.filter((one) => scope.split(' ').includes(one))
    return { uid: found.uid, client, redirectUri, asked }
  }
  const clientOf = (found: Interaction): Promise<ClientMetadata | undefined> =>
    clients.find(parameters.parse(found.params).client_id, false)

  const sessionOf = async (request: Request): Promise<Session | undefined> => {
    const token = cookie.read(request)
    return token === undefined ? undefined : await accounts.session(token)
  }

  /** A form is for one question and one session: what was shown to somebody else cannot be answered here. */
  const formToken = (uid: string, session: Session | undefined): string =>
    createHmac('sha256', formKey)
      .update(JSON.stringify([uid, session?.id ?? '']))
      .digest('base64url')
  const isFormToken = (given: string, uid: string, session: Session | undefined): boolean => {
    const [a, b] = [Buffer.from(given), Buffer.from(formToken(uid, session))]
    return a.length === b.length && timingSafeEqual(a, b)
  }

  const askLogin = (question: Question, email = '', wrong?: AppError): Response => {
    const token = formToken(question.uid, undefined)
    const problem = wrong?.publicMessage
    const body = loginPage({ client: question.client, token, email, problem })
    const wait = wrong?.retryAfterSeconds
    return new Response(body, {
      status: wrong?.httpStatus ?? 200,
      headers: {
        ...pageFields,
        ...(wait !== undefined && { 'retry-after': String(Math.ceil(wait)) }),
      },
    })
  }

  const askConsent = async (
    question: Question,
    session: Session,
    form?: { readonly data: URLSearchParams; readonly problem: string },
  ): Promise<Response> => {
    const { email, memberships } = await accounts.describe(session)
    const { client, redirectUri, asked } = question
    const letIn = (await accounts.clients(session)).filter((row) => row.client === client.client_id)
    const before = new Set(letIn.flatMap(({ scopes: had }) => had.split(' ')))
    const isTicked = (scope: Scope): boolean =>
      form === undefined
        ? usual.has(scope) || before.has(scope)
        : form.data.getAll('scope').includes(scope)
    const body = consentPage({
      client,
      redirectUri,
      token: formToken(question.uid, session),
      email,
      memberships,
      asked,
      ticked: new Set(asked.filter((scope) => isTicked(scope))),
      hasMore: before.size > 0 && asked.some((scope) => !before.has(scope)),
      chosen: form?.data.get('namespace') ?? letIn[0]?.namespace_name,
      problem: form?.problem,
    })
    return new Response(body, {
      status: form === undefined ? 200 : 400,
      headers: pageFields,
    })
  }

  const logIn = async (
    request: Request,
    { address }: Caller,
    question: Question,
    data: URLSearchParams,
  ): Promise<Response> => {
    const given = data.get('email') ?? ''
    const code = data.get('code') ?? ''
    try {
      const email = emailAddress.safeParse(given).data
      if (email === undefined) throw new AppError('unauthenticated', 'This is no e-mail address.')
      const password = data.get('password') ?? ''
      const token = await accounts.logIn({ email, password, ...(code !== '' && { code }) }, address)
      return seeOther(new URL(request.url).pathname, { 'set-cookie': cookie.write(token) })
    } catch (error) {
      if (!(error instanceof AppError) || !told.has(error.code)) throw error
      return askLogin(question, given, error)
    }
  }

  const allow = async (
    request: Request,
    question: Question,
    session: Session,
    data: URLSearchParams,
  ): Promise<Response> => {
    const { memberships } = await accounts.describe(session)
    const chosen = memberships.find(({ namespace_name: name }) => name === data.get('namespace'))
    if (chosen === undefined) {
      return await askConsent(question, session, { data, problem: 'Choose which memories.' })
    }
    const may = scopesOf(chosen.role)
    const agreed = question.asked.filter(
      (scope) => may.includes(scope) && data.getAll('scope').includes(scope),
    )
    if (agreed.length === 0) {
      const problem = `Tick what it may do; as ${chosen.role} of ${chosen.namespace_name} you can allow: ${may.join(', ')}.`
      return await askConsent(question, session, { data, problem })
    }
    const { account } = session
    const grantId = await clients.allow({
      account,
      client: question.client.client_id,
      namespaceName: chosen.namespace_name,
      scopes: agreed,
    })
    if (grantId === undefined) throw expired()
    return await leave(request, { login: { accountId: account }, consent: { grantId } })
  }

  const leave = async (request: Request, result: object): Promise<Response> => {
    const next = await withCookies(request, (...pair) => provider.answer(...pair, { ...result }))
    return seeOther(new URL(next).pathname)
  }

  const decide = async (request: Request, caller: Caller): Promise<Response> => {
    const data = await readForm(request, origin)
    const question = await readQuestion(request)
    const session = await sessionOf(request)
    const what = data.get('do')
    const isOwn = isFormToken(data.get('token') ?? '', question.uid, session)
    // Logging in twice, in two windows, is no forgery: it shows what there is to decide.
    if (!isOwn) return session ? await askConsent(question, session) : askLogin(question)
    if (session === undefined) return await logIn(request, caller, question, data)
    if (what === 'allow') return await allow(request, question, session, data)
    if (what === 'deny') {
      return await leave(request, { error: 'access_denied', error_description: 'not allowed' })
    }
    if (what !== 'leave') return await askConsent(question, session)
    await accounts.logOut(session)
    return seeOther(new URL(request.url).pathname, { 'set-cookie': cookie.clear })
  }

  const ask = async (request: Request): Promise<Response> => {
    const question = await readQuestion(request)
    const session = await sessionOf(request)
    return session === undefined ? askLogin(question) : await askConsent(question, session)
  }

  const register = async (request: Request, { address }: Caller): Promise<Response> => {
    await accounts.introduceClient(address)
    const metadata = await clients.register(await request.json().catch(() => undefined))
    const issuedAt = Math.floor(Date.now() / 1000)
    return Response.json({ ...metadata, client_id_issued_at: issuedAt }, { status: 201 })
  }

  const serve = async (request: Request, { address }: Caller): Promise<Response> => {
    const url = new URL(request.url)
    if (url.pathname === oauthPaths.authorize) {
      if (/^https?:/u.test(url.searchParams.get('client_id') ?? '')) {
        await accounts.introduceClient(address)
      }
      refuseOtherModes(url)
      addUsualScopes(url, scopes)
    }
    const answer = await nodeAnswer(new Request(url, request), origin, (...pair) =>
      provider.handle(...pair),
    )
    if (metadata.has(url.pathname)) return await withOwnModes(answer)
    const kept = answer.headers.getSetCookie().filter((line) => !line.startsWith(idleCookie))
    answer.headers.delete('set-cookie')
    for (const line of kept) answer.headers.append('set-cookie', line)
    const to = answer.headers.get('location')
    const isBack = url.pathname.startsWith(`${oauthPaths.authorize}/`)
    if (to === null || !isBack || to.startsWith('/') || to.startsWith(`${origin}/`)) return answer
    // Not a redirect: after a form, browsers hold every address on the way to the page's own policy.
    answer.headers.delete('location')
    const headers = new Headers({ ...Object.fromEntries(answer.headers), ...pageFields })
    headers.delete('content-length')
    for (const line of kept) headers.append('set-cookie', line)
    return new Response(backPage(to), { status: 200, headers })
  }

  return {
    paths: [...oauthPaths.metadata, '/oauth/*'],
    async handle(request, caller) {
      const { pathname } = new URL(request.url)
      const { method } = request
      try {
        if (pathname === oauthPaths.register && method === 'POST') {
          return await register(request, caller)
        }
        if (!pathname.startsWith(`${oauthPaths.question}/`)) return await serve(request, caller)
        return await (method === 'POST' ? decide(request, caller) : ask(request))
      } catch (error) {
        return refusal(error, request)
      }
    },
  }
}

/** Refusals that a person at a form can do something about. */
const told: ReadonlySet<string> = new Set(['unauthenticated', 'rate_limited'])

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

function expired(): AppError {
  return new AppError('invalid_input', 'This page has expired, or was opened in another browser.')
}

function seeOther(path: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 303, headers: { ...headers, location: path } })
}

const metadata: ReadonlySet<string> = new Set(oauthPaths.metadata)

/** An answer in the address alone: a form to another site would need a script. */
function refuseOtherModes(url: URL): void {
  const modes = url.searchParams.getAll('response_mode')
  if (modes.every((mode) => mode === 'query')) return
  throw new AppError('invalid_input', 'Only response_mode=query is served here.')
}

async function withOwnModes(answer: Response): Promise<Response> {
  const document = z.looseObject({}).parse(await answer.json())
  return Response.json({ ...document, response_modes_supported: ['query'] })
}

/** A client that asks for nothing we know gets asked for what everybody starts with. */
function addUsualScopes(url: URL, scopes: readonly Scope[]): void {
  const asked = url.searchParams.getAll('scope')
  const words = asked[0]?.split(' ') ?? []
  if (asked.length > 1 || scopes.some((scope) => words.includes(scope))) return
  const start = firstScopes.filter((scope) => scopes.includes(scope))
  url.searchParams.set('scope', [...words, ...start].join(' '))
}

/** Browsers say in every POST which page it comes from; forms of any other page are refused. */
async function readForm(request: Request, origin: string): Promise<URLSearchParams> {
  if (request.headers.get('origin') !== origin) {
    throw new AppError('insufficient_scope', 'Only pages of this server may do this.')
  }
  return new URLSearchParams(await request.text())
}
