/** How a person logs in on our pages, or comes by an account; and what ties a form to its page and its session. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Accounts } from '../accounts/accounts.ts'
import { emailAddress } from '../accounts/email.ts'
import { newPassword } from '../accounts/new-password.ts'
import type { Session } from '../accounts/session-tokens.ts'
import { AppError } from '../errors.ts'
import type { Caller } from './entrance.ts'
import { loginPage, passwordPage } from './login-pages.ts'
import { pageFields } from './page.ts'
import { sessionCookie } from './session-cookie.ts'

export interface LoginOptions {
  readonly accounts: Accounts
  /** Origin under which people reach this server. */
  readonly origin: string
  /** 32 secret bytes. */
  readonly formKey: Uint8Array
}

/** A page that one must be logged in for. */
export interface Place {
  /** Forms of one page count on no other. */
  readonly id: string
  /** What to log in for, as it is said above the form. */
  readonly reason: string
}

export interface Login {
  /** Who is logged in; undefined: nobody. */
  session(request: Request): Promise<Session | undefined>
  /** For the forms of a page, shown to this session. */
  token(placeId: string, session: Session | undefined): string
  /** Fields of a form. Throws AppError `insufficient_scope` for one of any page that is not ours. */
  read(request: Request): Promise<URLSearchParams>
  /** Whether the form was shown on this page to this session. */
  isOwn(data: URLSearchParams, placeId: string, session: Session | undefined): boolean
  /** The form to log in with. */
  ask(place: Place): Response
  /** What somebody who is not logged in sent: to log in, or to come by a password. */
  answer(request: Request, caller: Caller, place: Place, data: URLSearchParams): Promise<Response>
  /** Logs out, for another account. */
  leave(request: Request, session: Session): Promise<Response>
}

export function createLogin({ accounts, origin, formKey }: LoginOptions): Login {
  const cookie = sessionCookie(origin)

  const token: Login['token'] = (placeId, session) =>
    createHmac('sha256', formKey)
      .update(JSON.stringify([placeId, session?.id ?? '']))
      .digest('base64url')
  const isOwn: Login['isOwn'] = (data, placeId, session) => {
    const [a, b] = [Buffer.from(data.get('token') ?? ''), Buffer.from(token(placeId, session))]
    return a.length === b.length && timingSafeEqual(a, b)
  }

  const ask = (
    { id, reason }: Place,
    { email = '', wrong, notice }: { email?: string; wrong?: AppError; notice?: string } = {},
  ): Response => {
    const problem = wrong?.publicMessage
    const body = loginPage({ reason, token: token(id, undefined), email, problem, notice })
    return answered(body, wrong)
  }

  const logIn: Login['answer'] = async (request, { address }, place, data) => {
    const given = data.get('email') ?? ''
    const code = data.get('code') ?? ''
    try {
      const email = emailAddress.safeParse(given).data
      if (email === undefined) throw new AppError('unauthenticated', 'This is no e-mail address.')
      const password = data.get('password') ?? ''
      const opened = await accounts.logIn(
        { email, password, ...(code !== '' && { code }) },
        address,
      )
      return seeOther(new URL(request.url).pathname, { 'set-cookie': cookie.write(opened) })
    } catch (error) {
      return ask(place, { email: given, wrong: toldOf(error) })
    }
  }

  /** A code to the mailbox, for a first password or a new one: to whom it may go is not told. */
  const sendLetter = async (
    { address }: Caller,
    place: Place,
    data: URLSearchParams,
  ): Promise<Response> => {
    const given = data.get('email') ?? ''
    try {
      const email = emailAddress.safeParse(given).data
      if (email === undefined) throw new AppError('unauthenticated', 'Type your e-mail address.')
      await accounts.signUp(email, address)
      return answered(passwordPage({ token: token(place.id, undefined), email }))
    } catch (error) {
      return ask(place, { email: given, wrong: toldOf(error) })
    }
  }

  const setPassword = async (
    { address }: Caller,
    place: Place,
    data: URLSearchParams,
  ): Promise<Response> => {
    const email = data.get('email') ?? ''
    try {
      const password = newPassword.safeParse(data.get('password')).data
      if (password === undefined) {
        throw new AppError('unauthenticated', 'A password has 10 to 1,024 characters.')
      }
      await accounts.setPassword((data.get('code') ?? '').trim(), password, address)
      return ask(place, { email, notice: 'Your password is set. Log in with it.' })
    } catch (error) {
      const wrong = toldOf(error)
      const shown = { token: token(place.id, undefined), email, problem: wrong.publicMessage }
      return answered(passwordPage(shown), wrong)
    }
  }

  return {
    async session(request) {
      const sent = cookie.read(request)
      return sent === undefined ? undefined : await accounts.session(sent)
    },
    token,
    /** Browsers say in every POST which page it comes from; forms of any other page are refused. */
    async read(request) {
      if (request.headers.get('origin') !== origin) {
        throw new AppError('insufficient_scope', 'Only pages of this server may do this.')
      }
      return new URLSearchParams(await request.text())
    },
    isOwn,
    ask: (place) => ask(place),
    async answer(request, caller, place, data) {
      if (!isOwn(data, place.id, undefined)) return ask(place)
      const what = data.get('do')
      if (what === 'letter') return await sendLetter(caller, place, data)
      if (what === 'password') return await setPassword(caller, place, data)
      if (what === 'back') return ask(place, { email: data.get('email') ?? '' })
      return await logIn(request, caller, place, data)
    },
    async leave(request, session) {
      await accounts.logOut(session, session.id)
      return seeOther(new URL(request.url).pathname, { 'set-cookie': cookie.clear })
    },
  }
}

/** Refusals that a person at a form can do something about. */
const told: ReadonlySet<string> = new Set(['unauthenticated', 'rate_limited', 'unavailable'])

/** Throws what is none of them. */
function toldOf(error: unknown): AppError {
  if (!(error instanceof AppError) || !told.has(error.code)) throw error
  return error
}

function answered(body: string, wrong?: AppError): Response {
  const wait = wrong?.retryAfterSeconds
  const headers = {
    ...pageFields,
    ...(wait !== undefined && { 'retry-after': String(Math.ceil(wait)) }),
  }
  return new Response(body, { status: wrong?.httpStatus ?? 200, headers })
}

/** After a form: what is loaded anew is a page, and sends nothing twice. */
export function seeOther(path: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 303, headers: { ...headers, location: path } })
}
