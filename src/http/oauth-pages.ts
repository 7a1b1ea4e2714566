/** The pages on which a person logs in and lets a client in: plain HTML, no script, readable on a phone. */
import { createHash } from 'node:crypto'
import type { ClientMetadata } from '../accounts/client-metadata.ts'
import { redirectPlace } from '../accounts/client-metadata.ts'
import type { Membership } from '../accounts/members.sql.ts'
import type { Scope } from '../principal.ts'
import { Html, markup } from './html.ts'

const style = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6878;--line:#d5dae2;--paper:#fff;--ground:#f3f5f8;--accent:#2457c5;--on:#fff;--bad:#a8231d;--warn:#fff6e0}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a2adbd;--line:#3a4454;--paper:#1b212b;--ground:#11151c;--accent:#8ab0ff;--on:#0d1420;--bad:#ff9c94;--warn:#3a3014}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);margin:0;padding:1rem}
main{max-width:27rem;margin:4vh auto;background:var(--paper);border:1px solid var(--line);border-radius:.9rem;padding:1.5rem}
header{color:var(--soft);font-weight:600;margin-bottom:.75rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem;overflow-wrap:anywhere}
p{margin:0 0 1rem}dl{margin:0 0 1.25rem}dt{color:var(--soft);font-size:.875rem}dd{margin:0 0 .6rem;overflow-wrap:anywhere}
label{display:block}.field{margin-bottom:1rem}.field span{display:block;font-weight:600}
small{color:var(--soft);display:block}
input:not([type=radio]):not([type=checkbox]){width:100%;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);border-radius:.5rem;padding:.6rem .7rem}
fieldset{border:1px solid var(--line);border-radius:.6rem;margin:0 0 1.25rem;padding:.5rem .9rem .7rem}
legend{font-weight:600;padding:0 .3rem}
.choice{display:flex;gap:.7rem;align-items:flex-start;padding:.4rem 0;min-height:2.75rem}
.choice input{width:1.25rem;height:1.25rem;margin:.15rem 0 0;flex:none;accent-color:var(--accent)}
.actions{display:flex;gap:.75rem;flex-wrap:wrap}
button,.button{font:inherit;font-weight:600;min-height:2.75rem;padding:.5rem 1.2rem;border-radius:.6rem;border:1px solid var(--soft);background:transparent;color:var(--ink);cursor:pointer;flex:1 1 9rem;text-align:center;text-decoration:none;display:inline-block}
.main{background:var(--accent);border-color:var(--accent);color:var(--on)}
.link{border:0;padding:0;min-height:0;flex:none;color:var(--accent);text-decoration:underline;font-weight:400}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.problem{color:var(--bad);font-weight:600;border-left:.25rem solid var(--bad);padding-left:.75rem}
details{margin:1.25rem 0;border-top:1px solid var(--line);padding-top:.9rem}summary{cursor:pointer;margin-bottom:.6rem}
.note{background:var(--warn);border-radius:.6rem;padding:.7rem .9rem}
`

const styleHash = createHash('sha256').update(style).digest('base64')

/** Nothing but the page itself: no script, no picture, no frame around it, no form that leads elsewhere. */
export const pagePolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`

/** Fields of every page. With no referrer at all browsers would not say where a form comes from, either. */
export const pageFields: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': pagePolicy,
  'referrer-policy': 'same-origin',
}

function page(title: string, body: Html, head?: Html): string {
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        ${head}
        <title>${title} · MindGlue</title>
        <style>${new Html(style)}</style>
      </head>
      <body>
        <main>
          <header>MindGlue</header>
          ${body}
        </main>
      </body>
    </html>`.text
}

/** A form field that makes a form this page's own. */
const hidden = (token: string): Html =>
  markup`<input type="hidden" name="token" value="${token}" />`

const problemLine = (text: string | undefined): Html | undefined =>
  text === undefined ? undefined : markup`<p class="problem" role="alert">${text}</p>`

const noticeLine = (text: string | undefined): Html | undefined =>
  text === undefined ? undefined : markup`<p class="note" role="status">${text}</p>`

function nameOf({ client_name: name, client_id: id }: ClientMetadata): string {
  return name ?? (id.startsWith('http') ? new URL(id).hostname : 'A program without a name')
}

/** A field with its name above it. */
function field(title: string, attributes: Html, hint?: string): Html {
  const note = hint === undefined ? undefined : markup`<small>${hint}</small>`
  return markup`<label class="field"><span>${title}</span><input ${attributes} />${note}</label>`
}

export interface LoginPage {
  readonly client: ClientMetadata
  readonly token: string
  readonly email: string
  readonly problem?: string | undefined
  readonly notice?: string | undefined
}

const emailField = (email: string): Html =>
  field(
    'E-mail address',
    markup`name="email" type="email" autocomplete="username" required maxlength="254" value="${email}"`,
  )

export function loginPage({ client, token, email, problem, notice }: LoginPage): string {
  return page(
    'Log in',
    markup`<h1>Log in</h1>
      <p>
        “${nameOf(client)}” asks to use your memories. Log in to see what it wants and to decide.
      </p>
      ${problemLine(problem)} ${noticeLine(notice)}
      <form method="post">
        ${hidden(token)} ${emailField(email)}
        ${field(
          'Password',
          markup`name="password" type="password" autocomplete="current-password" required maxlength="1024"`,
        )}
        ${field(
          'Code',
          markup`name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxlength="6"`,
          'Of your authenticator, if you set one up',
        )}
        <div class="actions">
          <button class="main" name="do" value="log-in">Log in</button>
        </div>
        <p></p>
        <button class="link" name="do" value="letter" formnovalidate>
          Make an account, or a new password
        </button>
      </form>`,
  )
}

/** Whoever has the mailbox gets a code, and chooses a password with it. */
export function passwordPage({ token, email, problem }: Omit<LoginPage, 'client'>): string {
  return page(
    'Choose a password',
    markup`<h1>Choose a password</h1>
      ${problemLine(problem)}
      <p>
        If ${email} can get a letter from here, one with a code is on its way. It works for an hour.
      </p>
      <form method="post">
        ${hidden(token)} <input type="hidden" name="email" value="${email}" />
        ${field('Code from the letter', markup`name="code" autocomplete="off" required maxlength="100"`)}
        ${field(
          'New password',
          markup`name="password" type="password" autocomplete="new-password" required minlength="10" maxlength="1024"`,
          'At least ten characters',
        )}
        <div class="actions">
          <button class="main" name="do" value="password">Set the password</button>
        </div>
        <p></p>
        <button class="link" name="do" value="back" formnovalidate>Back</button>
      </form>`,
  )
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

const meanings: Readonly<Record<Scope, readonly [string, string]>> = {
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
  const who = client.client_id.startsWith('http')
    ? markup`<dt>Described at</dt>
        <dd>${new URL(client.client_id).host}</dd>`
    : markup`<dt>Its name</dt>
        <dd>Nobody has checked it: the program registered itself.</dd>`
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
    markup`<h1>Let “${nameOf(client)}” use your memories?</h1>
      ${problemLine(given.problem)}
      <dl>
        ${who}
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
      </form>`,
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

export function problemPage(text: string): string {
  return page(
    'This did not work',
    markup`<h1>This did not work</h1>
      <p class="problem" role="alert">${text}</p>
      <p>Go back to the program that sent you here, and start again.</p>`,
  )
}
