/** Where a person logs in, decides which program may do what in which namespace, and comes by an account. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { AccountDescription, Accounts } from '../accounts/accounts.ts'
import type { ClientMetadata } from '../accounts/client-metadata.ts'
import type { Clients } from '../accounts/clients.ts'
import type { Consents } from '../accounts/consents.ts'
import { emailAddress } from '../accounts/email.ts'
import { newPassword } from '../accounts/new-password.ts'
import { scopesOf } from '../accounts/roles.ts'
import type { Session } from '../accounts/session-tokens.ts'
import { AppError } from '../errors.ts'
import type { Scope } from '../principal.ts'
import type { Caller } from './entrance.ts'
import { nodeAnswer } from './node-answer.ts'
import { consentPage, loginPage, pageFields, passwordPage } from './oauth-pages.ts'
import { oauthPaths, type OAuthProvider } from './oauth-provider.ts'
import { firstScopes } from './protected-resource.ts'
import { sessionCookie } from './session-cookie.ts'

export interface ConsentOptions {
  readonly accounts: Accounts
  readonly clients: Clients
  readonly consents: Consents
  readonly provider: OAuthProvider
  /** Origin under which people reach this server. */
  readonly origin: string
  /** Scopes that a client may ask for. */
  readonly scopes: readonly Scope[]
  /** 32 secret bytes. */
  readonly formKey: Uint8Array
  /** A namespace for each person alone; undefined where people enter by invitation only. */
  readonly own: OwnNamespaces | undefined
}

export interface OwnNamespaces {
  nameOf(session: Session): string
  /** Makes it when it is not there, and the person its administrator. */
  make(session: Session, agent: string): Promise<void>
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
  const { accounts, clients, consents, provider, origin, scopes, formKey, own } = options
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

  const askLogin = (
    question: Question,
    { email = '', wrong, notice }: { email?: string; wrong?: AppError; notice?: string } = {},
  ): Response => {
    const token = formToken(question.uid, undefined)
    const problem = wrong?.publicMessage
    return answered(loginPage({ client: question.client, token, email, problem, notice }), wrong)
  }

  /** What the person may choose from, with what would be made for them. */
  const describe = async (session: Session): Promise<AccountDescription> => {
    const described = await accounts.describe(session)
    const name = own?.nameOf(session)
    const { email, memberships } = described
    if (name === undefined || memberships.some((one) => one.namespace_name === name)) {
      return described
    }
    const agent = agentOf(email)
    const offered = { namespace_name: name, agent, role: 'admin' }
    return { ...described, memberships: [...memberships, offered] }
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
      token: formToken(question.uid, session),
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
      return askLogin(question, { email: given, wrong: error })
    }
  }

  /** A code to the mailbox, for a first password or a new one: to whom it may go is not told. */
  const sendLetter = async (
    { address }: Caller,
    question: Question,
    data: URLSearchParams,
  ): Promise<Response> => {
    const given = data.get('email') ?? ''
    try {
      const email = emailAddress.safeParse(given).data
      if (email === undefined) throw new AppError('unauthenticated', 'Type your e-mail address.')
      await accounts.signUp(email, address)
      return answered(passwordPage({ token: formToken(question.uid, undefined), email }))
    } catch (error) {
      if (!(error instanceof AppError) || !told.has(error.code)) throw error
      return askLogin(question, { email: given, wrong: error })
    }
  }

  const setPassword = async (
    { address }: Caller,
    question: Question,
    data: URLSearchParams,
  ): Promise<Response> => {
    const email = data.get('email') ?? ''
    try {
      const password = newPassword.safeParse(data.get('password')).data
      if (password === undefined) {
        throw new AppError('unauthenticated', 'A password has 10 to 1,024 characters.')
      }
      await accounts.setPassword((data.get('code') ?? '').trim(), password, address)
      return askLogin(question, { email, notice: 'Your password is set. Log in with it.' })
    } catch (error) {
      if (!(error instanceof AppError) || !told.has(error.code)) throw error
      const token = formToken(question.uid, undefined)
      return answered(passwordPage({ token, email, problem: error.publicMessage }), error)
    }
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
    if (own?.nameOf(session) === chosen.namespace_name) await own.make(session, chosen.agent)
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
    const data = await readForm(request, origin)
    const question = await readQuestion(request)
    const session = await sessionOf(request)
    const what = data.get('do')
    const isOwn = isFormToken(data.get('token') ?? '', question.uid, session)
    // Logging in twice, in two windows, is no forgery: it shows what there is to decide.
    if (!isOwn) return session ? await askConsent(question, session) : askLogin(question)
    if (session === undefined) {
      if (what === 'letter') return await sendLetter(caller, question, data)
      if (what === 'password') return await setPassword(caller, question, data)
      if (what === 'back') return askLogin(question, { email: data.get('email') ?? '' })
      return await logIn(request, caller, question, data)
    }
    if (what === 'accept') return await accept(question, session, data)
    if (what === 'allow') return await allow(request, caller, question, session, data)
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

  return async (request, caller) =>
    await (request.method === 'POST' ? decide(request, caller) : ask(request))
}

/** Refusals that a person at a form can do something about. */
const told: ReadonlySet<string> = new Set(['unauthenticated', 'rate_limited', 'unavailable'])

function answered(body: string, wrong?: AppError): Response {
  const wait = wrong?.retryAfterSeconds
  const headers = {
    ...pageFields,
    ...(wait !== undefined && { 'retry-after': String(Math.ceil(wait)) }),
  }
  return new Response(body, { status: wrong?.httpStatus ?? 200, headers })
}

/** What stands before the @, as for members who were invited. */
function agentOf(email: string): string {
  return email.slice(0, email.lastIndexOf('@'))
}

function expired(): AppError {
  return new AppError('invalid_input', 'This page has expired, or was opened in another browser.')
}

function seeOther(path: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 303, headers: { ...headers, location: path } })
}

/** Browsers say in every POST which page it comes from; forms of any other page are refused. */
async function readForm(request: Request, origin: string): Promise<URLSearchParams> {
  if (request.headers.get('origin') !== origin) {
    throw new AppError('insufficient_scope', 'Only pages of this server may do this.')
  }
  return new URLSearchParams(await request.text())
}
