/** Accounts over HTTP: JSON in and out, a cookie or a bearer token, and no request that another page could forge. */
import { z } from 'zod'
import type { Accounts } from '../accounts/accounts.ts'
import { describeClient } from '../accounts/client-operations.ts'
import type { Consents } from '../accounts/consents.ts'
import type { Membership } from '../accounts/members.sql.ts'
import { scopesOf } from '../accounts/roles.ts'
import type { SigningKeys, Session } from '../accounts/session-tokens.ts'
import { emailAddress } from '../accounts/email.ts'
import { newPassword } from '../accounts/new-password.ts'
import { sessionSeconds } from '../accounts/lifetimes.ts'
import { AppError } from '../errors.ts'
import { bearerToken } from './bearer.ts'
import type { Caller, OpenRoute } from './entrance.ts'
import type { OwnNamespaces } from './own-namespaces.ts'
import { sessionCookie } from './session-cookie.ts'

export interface AccountRoutesOptions {
  readonly accounts: Accounts
  readonly consents: Consents
  readonly signingKeys: SigningKeys
  /** Origin under which people reach this server; pages of no other may act for them. */
  readonly origin: string
  /** A namespace for each person alone; undefined where people enter by invitation only. */
  readonly own: OwnNamespaces | undefined
}

/** A request whose body was read and checked. */
interface Asked<Body> {
  readonly body: Body
  readonly from: string | undefined
  readonly requestId: string
  readonly session: () => Promise<Session>
}

type Route = (request: Request, caller: Caller) => Promise<Response>

const email = emailAddress
const password = newPassword
const code = z.string().min(6).max(100)

export function accountRoutes(options: AccountRoutesOptions): OpenRoute {
  const { accounts, consents, signingKeys, origin, own: ownNamespaces } = options
  const cookie = sessionCookie(origin)

  const sessionOf = async (request: Request): Promise<Session> => {
    const bearer = bearerToken(request.headers)
    const token = bearer ?? cookie.read(request)
    const session = token === undefined ? undefined : await accounts.session(token)
    if (session === undefined) throw new AppError('unauthenticated', 'Log in first.')
    return session
  }
  const post =
    <Body extends z.ZodType>(
      shape: Body,
      work: (asked: Asked<z.output<Body>>) => Promise<Response>,
    ): Route =>
    async (request, { address, requestId }) => {
      refuseForgery(request, origin)
      const body = await readBody(request, shape)
      return await work({ body, from: address, requestId, session: () => sessionOf(request) })
    }
  const loggedIn = (token: string): Response => {
    const answer = { access_token: token, token_type: 'Bearer', expires_in: sessionSeconds }
    return Response.json(answer, { headers: { 'set-cookie': cookie.write(token) } })
  }

  const routes = new Map<string, Route>([
    [
      'POST /account/sign-up',
      post(z.strictObject({ email }), async ({ body, from }) => {
        await accounts.signUp(body.email, from)
        return mailed()
      }),
    ],
    [
      'POST /account/reset',
      post(z.strictObject({ email }), async ({ body, from }) => {
        await accounts.requestReset(body.email, from)
        return mailed()
      }),
    ],
    [
      'POST /account/password',
      post(z.strictObject({ code, password }), async ({ body, from }) => {
        await accounts.setPassword(body.code, body.password, from)
        return done()
      }),
    ],
    [
      'POST /account/log-in',
      post(
        z.strictObject({ email, password: z.string().max(1024), code: code.optional() }),
        async ({ body, from }) => loggedIn(await accounts.logIn(body, from)),
      ),
    ],
    [
      'POST /account/log-out',
      post(
        z.union([
          z.strictObject({ session: z.uuid().optional() }),
          z.strictObject({ everywhere: z.literal(true) }),
        ]),
        async ({ body, session }) => {
          const own = await session()
          const id = 'everywhere' in body ? undefined : (body.session ?? own.id)
          await accounts.logOut(own, id)
          return done(id === undefined || id === own.id ? { 'set-cookie': cookie.clear } : {})
        },
      ),
    ],
    [
      'GET /account/sessions',
      async (request) => {
        const own = await sessionOf(request)
        const sessions = (await accounts.sessions(own)).map((row) => ({
          id: row.id,
          created_at: row.created_at.toISOString(),
          expires_at: row.expires_at.toISOString(),
          current: row.id === own.id,
        }))
        return Response.json({ sessions })
      },
    ],
    [
      'POST /account/password/change',
      post(
        z.strictObject({ password: z.string().max(1024), new_password: password }),
        async ({ body, from, session }) => {
          const { password: old, new_password: wanted } = body
          return loggedIn(await accounts.changePassword(await session(), old, wanted, from))
        },
      ),
    ],
    [
      'POST /account/second-factor',
      post(z.strictObject({ password: z.string().max(1024) }), async ({ body, from, session }) =>
        Response.json(await accounts.beginTotp(await session(), body.password, from)),
      ),
    ],
    [
      'POST /account/second-factor/confirm',
      post(z.strictObject({ code }), async ({ body, session }) => {
        const codes = await accounts.confirmTotp(await session(), body.code)
        return Response.json({ recovery_codes: codes })
      }),
    ],
    [
      'POST /account/second-factor/remove',
      post(
        z.strictObject({ password: z.string().max(1024), code }),
        async ({ body, from, session }) => {
          await accounts.removeTotp(await session(), body, from)
          return done()
        },
      ),
    ],
    [
      'POST /account/delete',
      post(
        z.strictObject({
          password: z.string().max(1024),
          code: code.optional(),
          own_memories: z.literal('delete').optional(),
        }),
        async ({ body: { own_memories: own, ...proof }, from, requestId, session }) => {
          const wish = { withOwnMemories: own !== undefined, requestId }
          await accounts.remove(await session(), proof, wish, from)
          return done({ 'set-cookie': cookie.clear })
        },
      ),
    ],
    [
      'POST /account/invitations/accept',
      post(z.strictObject({ code }), async ({ body, session }) =>
        Response.json({ namespace: await accounts.accept(await session(), body.code) }),
      ),
    ],
    [
      'POST /account/namespaces',
      post(z.strictObject({}), async ({ requestId, session }) => {
        if (ownNamespaces === undefined) {
          throw new AppError('insufficient_scope', 'Here people enter namespaces by invitation.')
        }
        const who = await session()
        const { memberships, ...described } = await accounts.describe(who)
        const name = ownNamespaces.nameOf(who)
        const known = memberships.find(({ namespace_name: one }) => one === name)
        if (known !== undefined) return Response.json(describeMembership(known))
        const offered = ownNamespaces.offered(who, described.email)
        await ownNamespaces.make(who, offered.agent, requestId)
        return Response.json(describeMembership(offered), { status: 201 })
      }),
    ],
    [
      'POST /account/token',
      post(z.strictObject({ namespace: z.string().max(63) }), async ({ body, session }) => {
        const token = await accounts.tokenFor(await session(), body.namespace)
        const answer = { access_token: token, token_type: 'Bearer', expires_in: sessionSeconds }
        return Response.json(answer)
      }),
    ],
    [
      'GET /account',
      async (request) => {
        const described = await accounts.describe(await sessionOf(request))
        return Response.json({
          email: described.email,
          second_factor: described.hasSecondFactor,
          recovery_codes: described.recoveryCodes,
          created_at: described.createdAt.toISOString(),
          namespaces: described.memberships.map(describeMembership),
        })
      },
    ],
    [
      'GET /account/clients',
      async (request) => {
        const rows = await consents.list(await sessionOf(request))
        const clients = rows.map((row) => ({
          ...describeClient(row),
          namespace: row.namespace_name,
        }))
        return Response.json({ clients })
      },
    ],
    [
      'POST /account/clients/revoke',
      post(
        z.strictObject({ client: z.string().max(512) }),
        async ({ body, requestId, session }) => {
          await consents.end(await session(), body.client, requestId)
          return done()
        },
      ),
    ],
    [
      'GET /account/jwks',
      async () => {
        const keys = await signingKeys.known()
        return Response.json({ keys: keys.map(({ publicJwk }) => publicJwk) })
      },
    ],
  ])

  return {
    paths: ['/account', '/account/*'],
    handle(request, caller) {
      const { pathname } = new URL(request.url)
      const route = routes.get(`${request.method} ${pathname}`)
      if (route === undefined) throw new AppError('not_found', 'There is nothing at this address.')
      return route(request, caller)
    },
  }
}

function describeMembership({ namespace_name: name, agent, role }: Membership) {
  return { name, agent, role, scopes: scopesOf(role) }
}

/** The same whatever the address stands for. */
function mailed(): Response {
  return Response.json(
    { detail: 'If this address can get a letter, it is on its way.' },
    { status: 202 },
  )
}

function done(headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 204, headers })
}

/**
 * A cookie is sent whoever made the request. Browsers write the page's origin into every POST, and a form
 * of another page cannot send JSON without being asked for permission first (Fetch §3.2.2, CORS).
 */
function refuseForgery(request: Request, origin: string): void {
  const from = request.headers.get('origin')
  const hasCookie = request.headers.get('cookie') !== null
  if (from === origin || (from === null && !hasCookie)) return
  throw new AppError('insufficient_scope', 'Only pages of this server may do this.')
}

async function readBody<Body extends z.ZodType>(
  request: Request,
  shape: Body,
): Promise<z.output<Body>> {
  if (!/^application\/json(?:;|$)/iu.test(request.headers.get('content-type') ?? '')) {
    throw new AppError('invalid_input', 'Send JSON: Content-Type must be application/json.')
  }
  let json: unknown
  try {
    json = await request.json()
  } catch (cause) {
    throw new AppError('invalid_input', 'The body is not valid JSON.', { cause })
  }
  const parsed = shape.safeParse(json)
  if (parsed.success) return parsed.data
  // Names of fields that were asked for; anything else may be a password in the wrong place.
  const [first] = parsed.error.issues
  const field = first?.path.map(String).join('.') ?? ''
  throw new AppError(
    'invalid_input',
    `Check the field ${field || 'names'}: it is missing or not as it must be.`,
  )
}
