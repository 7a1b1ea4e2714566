/** Where a person sees which programs they let in, and shuts them out. */
import type { Accounts } from '../accounts/accounts.ts'
import type { Consents } from '../accounts/consents.ts'
import type { Session } from '../accounts/session-tokens.ts'
import { AppError } from '../errors.ts'
import { clientsPage } from './clients-page.ts'
import type { Caller } from './entrance.ts'
import type { Login, Place } from './login.ts'
import { oauthPaths } from './oauth-paths.ts'
import type { OwnNamespaces } from './own-namespaces.ts'
import { pageFields } from './page.ts'

export interface OwnClientsOptions {
  readonly accounts: Accounts
  readonly consents: Consents
  readonly login: Login
  readonly own: Pick<OwnNamespaces, 'nameOf'> | undefined
}

/** No question has an id with a slash: its forms count here as little as these do there. */
const place: Place = {
  id: oauthPaths.clients,
  reason: 'Log in to see which programs you let in, and to shut them out.',
}

export function ownClientsRoute({
  accounts,
  consents,
  login,
  own,
}: OwnClientsOptions): (request: Request, caller: Caller) => Promise<Response> {
  const show = async (
    session: Session,
    { notice, problem }: { readonly notice?: string; readonly problem?: AppError } = {},
  ): Promise<Response> => {
    const { email } = await accounts.describe(session)
    const body = clientsPage({
      token: login.token(place.id, session),
      email,
      rows: await consents.list(session),
      ownNamespace: own?.nameOf(session),
      notice,
      problem: problem?.publicMessage,
    })
    return new Response(body, { status: problem?.httpStatus ?? 200, headers: pageFields })
  }

  const end = async (
    { requestId }: Caller,
    session: Session,
    data: URLSearchParams,
  ): Promise<Response> => {
    try {
      await consents.end(session, data.get('client') ?? '', requestId)
      return await show(session, { notice: 'It is shut out, within five seconds.' })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'not_found') throw error
      return await show(session, { problem: error })
    }
  }

  return async (request, caller) => {
    const isForm = request.method === 'POST'
    const data = isForm ? await login.read(request) : undefined
    const session = await login.session(request)
    if (data === undefined) return session === undefined ? login.ask(place) : await show(session)
    if (session === undefined) return await login.answer(request, caller, place, data)
    if (!login.isOwn(data, place.id, session)) return await show(session, { problem: stale() })
    const what = data.get('do')
    if (what === 'end') return await end(caller, session, data)
    if (what === 'leave') return await login.leave(request, session)
    return await show(session)
  }
}

/** Most likely a window that was open while the person logged in anew. */
function stale(): AppError {
  return new AppError('conflict', 'This page was shown to another session: nothing was changed.')
}
