/** Where a person decides which program may do what in which namespace. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { AccountDescription, Accounts } from '../accounts/accounts.ts'
import type { ClientMetadata } from '../accounts/client-metadata.ts'
import type { Clients } from '../accounts/clients.ts'
import type { Consents } from '../accounts/consents.ts'
import { scopesOf } from '../accounts/roles.ts'
import type { Session } from '../accounts/session-tokens.ts'
import { AppError } from '../errors.ts'
import type { Scope } from '../principal.ts'
import type { Caller } from './entrance.ts'
import { seeOther, type Login, type Place } from './login.ts'
import { nodeAnswer } from './node-answer.ts'
import { clientName, consentPage } from './oauth-pages.ts'
import { oauthPaths } from './oauth-paths.ts'
import type { OAuthProvider } from './oauth-provider.ts'
import type { OwnNamespaces } from './own-namespaces.ts'
import { pageFields } from './page.ts'
import { firstScopes } from './protected-resource.ts'

export interface ConsentOptions {
  readonly accounts: Accounts
  readonly clients: Clients
  readonly consents: Consents
  readonly provider: OAuthProvider
  /** Origin under which people reach this server. */
  readonly origin: string
  /** Scopes that a client may ask for. */
  readonly scopes: readonly Scope[]
  readonly login: Login
  /** A namespace for each person alone; undefined where people enter by invitation only. */
  readonly own: OwnNamespaces | undefined
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

export function consentRoute(
  options: ConsentOptions,
): (request: Request, caller: Caller) => Promise<Response> {
  const { accounts, clients, consents, provider, origin, scopes, login, own } = options

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
    const found = await withCookies(request, (...pair) => provider.question(...pair))
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

  /** What the person may choose from, with what would be made for them. */
  const describe = async (session: Session): Promise<AccountDescription> => {
    const described = await accounts.describe(session)
    if (own === undefined) return described
    const { email, memberships } = described
    const name = own.nameOf(session)
    if (memberships.some((one) => one.namespace_name === name)) return described
    return { ...described, memberships: [...memberships, own.offered(session, email)] }
  }

  const askConsent = async (
    question: Question,
    session: Session,
    {
      data,
      problem,
      chosen,
    }: { readonly data?: URLSearchParams; problem?: string; chosen?: string } = {},
  ): Promise<Response> => {
    const { email, memberships } = await describe(session)
    const { client, redirectUri, asked } = question
    const letIn = (await consents.list(session)).filter((row) => row.client === client.client_id)
    const before = new Set(letIn.flatMap(({ scopes: had }) => had.split(' ')))
    const isTicked = (scope: Scope): boolean =>
      data === undefined
        ? usual.has(scope) || before.has(scope)
        : data.getAll('scope').includes(scope)
    const body = consentPage({
      client,
      redirectUri,
      token: login.token(question.uid, session),
      email,
      memberships,
      ownNamespace: own?.nameOf(session),
      asked,
      ticked: new Set(asked.filter((scope) => isTicked(scope))),
      hasMore: before.size > 0 && asked.some((scope) => !before.has(scope)),
      chosen: chosen ?? data?.get('namespace') ?? letIn[0]?.namespace_name,
      problem,
    })
    return new Response(body, { status: problem === undefined ? 200 : 400, headers: pageFields })
  }

  const accept = async (
    question: Question,
    session: Session,
    data: URLSearchParams,
  ): Promise<Response> => {
    try {
      const chosen = await accounts.accept(session, (data.get('invitation') ?? '').trim())
      return await askConsent(question, session, { chosen })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'not_found') throw error
      return await askConsent(question, session, { problem: error.publicMessage })
    }
  }

  const allow = async (
    request: Request,
    { requestId }: Caller,
    question: Question,
    session: Session,
    data: URLSearchParams,
  ): Promise<Response> => {
    const { memberships } = await describe(session)
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
    if (own?.nameOf(session) === chosen.namespace_name) {
      try {
        await own.make(session, chosen.agent, requestId)
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'insufficient_scope') throw error
        return await askConsent(question, session, { data, problem: error.publicMessage })
      }
    }
    const { client_id: client } = question.client
    const allowed = { client, namespaceName: chosen.namespace_name, scopes: agreed }
    const grantId = await consents.allow(session, allowed, requestId)
    if (grantId === undefined) throw expired()
    return await leave(request, { login: { accountId: session.account }, consent: { grantId } })
  }

  const leave = async (request: Request, result: object): Promise<Response> => {
    const next = await withCookies(request, (...pair) => provider.answer(...pair, { ...result }))
    return seeOther(new URL(next).pathname)
  }

  const decide = async (request: Request, caller: Caller): Promise<Response> => {
    const data = await login.read(request)
    const question = await readQuestion(request)
    const session = await login.session(request)
    if (session === undefined) return await login.answer(request, caller, placeOf(question), data)
    // Logging in twice, in two windows, is no forgery: it shows what there is to decide.
    if (!login.isOwn(data, question.uid, session)) return await askConsent(question, session)
    const what = data.get('do')
    if (what === 'accept') return await accept(question, session, data)
    if (what === 'allow') return await allow(request, caller, question, session, data)
    if (what === 'deny') {
      return await leave(request, { error: 'access_denied', error_description: 'not allowed' })
    }
    if (what !== 'leave') return await askConsent(question, session)
    return await login.leave(request, session)
  }

  const ask = async (request: Request): Promise<Response> => {
    const question = await readQuestion(request)
    const session = await login.session(request)
    return session === undefined
      ? login.ask(placeOf(question))
      : await askConsent(question, session)
  }

  return async (request, caller) =>
    await (request.method === 'POST' ? decide(request, caller) : ask(request))
}

function placeOf({ uid, client }: Question): Place {
  const reason = `“${clientName(client)}” asks to use your memories. Log in to see what it wants and to decide.`
  return { id: uid, reason }
}

function expired(): AppError {
  return new AppError('invalid_input', 'This page has expired, or was opened in another browser.')
}
