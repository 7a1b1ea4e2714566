/** The pages on which a person lets a client in, and is led back to it. */
import type { ClientMetadata } from '../accounts/client-metadata.ts'
import { redirectPlace } from '../accounts/client-metadata.ts'
import type { Membership } from '../accounts/members.sql.ts'
import type { Scope } from '../principal.ts'
import { Html, markup } from './html.ts'
import { oauthPaths } from './oauth-paths.ts'
import { field, hidden, page, problemLine } from './page.ts'

/** What it calls itself, or where it describes itself. */
export function clientName({ client_name: name, client_id: id }: ClientMetadata): string {
  return name ?? (id.startsWith('http') ? new URL(id).hostname : 'A program without a name')
}

/** What is known of who it is. */
export function checkedName({ client_id: id }: ClientMetadata): Html {
  return id.startsWith('http')
    ? markup`<dt>Described at</dt>
        <dd>${new URL(id).host}</dd>`
    : markup`<dt>Its name</dt>
        <dd>Nobody has checked it: the program registered itself.</dd>`
}

export interface ConsentPage {
  readonly client: ClientMetadata
  /** Where the answer goes. */
  readonly redirectUri: string
  readonly token: string
  readonly email: string
  readonly memberships: readonly Membership[]
  /** Name of the namespace that is the person's alone. */
  readonly ownNamespace?: string | undefined
  /** What the client asks for. */
  readonly asked: readonly Scope[]
  readonly ticked: ReadonlySet<Scope>
  /** It was let in before, and asks for more. */
  readonly hasMore: boolean
  readonly chosen?: string | undefined
  readonly problem?: string | undefined
}

/** Of each scope a short name and what it comes to. */
export const meanings: Readonly<Record<Scope, readonly [string, string]>> = {
  'memory:read': ['Read memories', 'Search and see what is remembered'],
  'memory:write': ['Write memories', 'Store new ones, correct and retire them'],
  'memory:forget': ['Forget memories', 'Erase them for good'],
  'memory:export': ['Export memories', 'Take out everything at once'],
  'audit:read': ['Read the log', 'See who did what, and when'],
  admin: ['Everything', 'Private memories of others, keys and members too'],
}

export function consentPage(given: ConsentPage): string {
  const { client, redirectUri, token, email, memberships, asked, ticked } = given
  const { chosen = memberships[0]?.namespace_name } = given
  const isOwnDevice = !redirectUri.startsWith('https:')
  const namespaces = memberships.map(
    ({ namespace_name: name, agent, role }) =>
      markup`<label class="choice"
        ><input
          type="radio"
          name="namespace"
          value="${name}"
          required
          ${new Html(name === chosen ? 'checked' : '')}
        /><span
          >${name === given.ownNamespace ? 'Memories of your own' : name}<small
            >You are ${agent} there (${role})</small
          ></span
        ></label
      >`,
  )
  const scopes = asked.map((scope) => {
    const [title, text] = meanings[scope]
    return markup`<label class="choice"
      ><input
        type="checkbox"
        name="scope"
        value="${scope}"
        ${new Html(ticked.has(scope) ? 'checked' : '')}
      /><span>${title}<small>${text}</small></span></label
    >`
  })
  const choices =
    namespaces.length === 0
      ? markup`<p class="note">
          This account may not enter any namespace yet. Ask an administrator for an invitation.
        </p>`
      : markup`<fieldset>
            <legend>Which memories</legend>
            ${namespaces}
          </fieldset>
          <fieldset>
            <legend>What it may do</legend>
            ${given.hasMore ? markup`<p>You let it in before. Now it asks for more: tick what you want to add.</p>` : undefined}
            ${scopes}
          </fieldset>`
  return page(
    'Let a program in',
    markup`<h1>Let “${clientName(client)}” use your memories?</h1>
      ${problemLine(given.problem)}
      <dl>
        ${checkedName(client)}
        <dt>Your answer goes to</dt>
        <dd>${redirectPlace(redirectUri)}</dd>
        <dt>You are</dt>
        <dd>${email}</dd>
      </dl>
      ${
        isOwnDevice
          ? markup`<p class="note">Go on only if you started this yourself, on this device.</p>`
          : undefined
      }
      <form method="post">
        ${hidden(token)} ${choices}
        <div class="actions">
          <button name="do" value="deny" formnovalidate>Deny</button>
          ${
            namespaces.length === 0
              ? undefined
              : markup`<button class="main" name="do" value="allow">Allow</button>`
          }
        </div>
      </form>
      <form method="post">
        ${hidden(token)}
        <details ${new Html(namespaces.length === 0 ? 'open' : '')}>
          <summary>I have an invitation</summary>
          ${field('Its code', markup`name="invitation" autocomplete="off" required maxlength="100"`)}
          <button name="do" value="accept">Accept</button>
        </details>
        <button class="link" name="do" value="leave" formnovalidate>Use another account</button>
      </form>
      <p class="foot">
        You can shut it out again at any time, under
        <a href="${oauthPaths.clients}">programs you let in</a>.
      </p>`,
  )
}

/** Leads back by itself, and stays where the way back opens an app. */
export function backPage(address: string): string {
  return page(
    'Done',
    markup`<h1>Done</h1>
      <p>You go back to ${redirectPlace(address)}. When it has opened, you can close this page.</p>
      <div class="actions"><a class="button main" href="${address}">Go back now</a></div>`,
    markup`<meta http-equiv="refresh" content="0;url=${address}" />`,
  )
}

/**
 * An error for a client on the web, before anybody has logged in. Anybody may register a site, so our address
 * leads to it by nobody's hand but the person's (RFC 9700 §4.11.2).
 */
export function strayPage(address: string): string {
  const said = new URL(address).searchParams
  return page(
    'This did not work',
    markup`<h1>This did not work</h1>
      <p class="problem" role="alert">${said.get('error_description') ?? 'It asked for what is not served here.'}</p>
      <p>
        The request came from <strong>${redirectPlace(address)}</strong>, which nobody here has checked. You
        were asked for nothing, and it was given nothing.
      </p>
      <div class="actions"><a class="button" href="${address}">Go back to it</a></div>`,
  )
}

export function problemPage(text: string): string {
  return page(
    'This did not work',
    markup`<h1>This did not work</h1>
      <p class="problem" role="alert">${text}</p>
      <p>Go back to the program that sent you here, and start again.</p>`,
  )
}
