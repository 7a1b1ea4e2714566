/** The page that shows a person the programs that they let in, each with a button that shuts it out. */
import { readStoredClient, redirectPlace } from '../accounts/client-metadata.ts'
import type { OwnClientRow } from '../accounts/clients.sql.ts'
import { allScopes } from '../principal.ts'
import { markup, type Html } from './html.ts'
import { checkedName, clientName, meanings } from './oauth-pages.ts'
import { hidden, noticeLine, page, problemLine } from './page.ts'

export interface ClientsPage {
  readonly token: string
  readonly email: string
  /** A row for each client and namespace. */
  readonly rows: readonly OwnClientRow[]
  /** Name of the namespace that is the person's alone. */
  readonly ownNamespace?: string | undefined
  readonly notice?: string | undefined
  readonly problem?: string | undefined
}

export function clientsPage(given: ClientsPage): string {
  const { token, email, rows, notice, problem } = given
  const ids = [...new Set(rows.map(({ client }) => client))]
  const entries = ids.map((id) =>
    entry(
      rows.filter(({ client }) => client === id),
      given,
    ),
  )
  return page(
    'Programs you let in',
    markup`<h1>Programs you let in</h1>
      ${problemLine(problem)} ${noticeLine(notice)}
      <dl>
        <dt>You are</dt>
        <dd>${email}</dd>
      </dl>
      ${
        entries.length === 0
          ? markup`<p class="note">
              None. A program that wants to use your memories sends you to a page of this server, where you
              decide.
            </p>`
          : entries
      }
      <form method="post">
        ${hidden(token)}
        <button class="link" name="do" value="leave">Use another account</button>
      </form>`,
  )
}

/** All of one client. */
function entry(rows: readonly OwnClientRow[], { token, ownNamespace }: ClientsPage): Html {
  const [first] = rows
  if (first === undefined) throw new TypeError('a client that nobody let in')
  const client = readStoredClient(first.metadata)
  const name = clientName(client)
  const places = [...new Set(client.redirect_uris.map((uri) => redirectPlace(uri)))]
  const namespaces = rows.map((row) => {
    const had = new Set(row.scopes.split(' '))
    const may = allScopes.filter((scope) => had.has(scope)).map((scope) => meanings[scope][0])
    return markup`<dt>${row.namespace_name === ownNamespace ? 'In memories of your own' : `In ${row.namespace_name}`}</dt>
      <dd>${may.join(', ')}<small>Since ${day(row.since)}, used ${day(row.used_at)}</small></dd>`
  })
  return markup`<section>
    <h2>“${name}”</h2>
    <dl>
      ${checkedName(client)}
      <dt>Answers go to</dt>
      <dd>${places.join(', ')}</dd>
      ${namespaces}
    </dl>
    <form method="post">
      ${hidden(token)} <input type="hidden" name="client" value="${first.client}" />
      <div class="actions">
        <button class="bad" name="do" value="end" aria-label="Shut out “${name}”">
          Shut it out
        </button>
      </div>
    </form>
  </section>`
}

/** Of the server's calendar: nobody's own is known here. */
function day(date: Date): Html {
  const iso = date.toISOString()
  const text = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(date)
  return markup`<time datetime="${iso}">${text}</time>`
}
