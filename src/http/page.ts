/** What the pages for people have in common: the frame, the style, the parts of a form. Plain HTML, no script. */
import { createHash } from 'node:crypto'
import { Html, markup } from './html.ts'

const style = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6878;--line:#d5dae2;--paper:#fff;--ground:#f3f5f8;--accent:#2457c5;--on:#fff;--bad:#a8231d;--warn:#fff6e0}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a2adbd;--line:#3a4454;--paper:#1b212b;--ground:#11151c;--accent:#8ab0ff;--on:#0d1420;--bad:#ff9c94;--warn:#3a3014}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);margin:0;padding:1rem}
main{max-width:27rem;margin:4vh auto;background:var(--paper);border:1px solid var(--line);border-radius:.9rem;padding:1.5rem}
header{color:var(--soft);font-weight:600;margin-bottom:.75rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;line-height:1.35;margin:0 0 .6rem;overflow-wrap:anywhere}
section{border:1px solid var(--line);border-radius:.6rem;padding:1rem;margin:0 0 1.25rem}section dl{margin:0 0 .75rem}
a{color:var(--accent)}.foot{color:var(--soft);font-size:.875rem;margin:1.25rem 0 0}
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
.bad{border-color:var(--bad);color:var(--bad)}
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

export function page(title: string, body: Html, head?: Html): string {
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
export const hidden = (token: string): Html =>
  markup`<input type="hidden" name="token" value="${token}" />`

export const problemLine = (text: string | undefined): Html | undefined =>
  text === undefined ? undefined : markup`<p class="problem" role="alert">${text}</p>`

export const noticeLine = (text: string | undefined): Html | undefined =>
  text === undefined ? undefined : markup`<p class="note" role="status">${text}</p>`

/** A field with its name above it. */
export function field(title: string, attributes: Html, hint?: string): Html {
  const note = hint === undefined ? undefined : markup`<small>${hint}</small>`
  return markup`<label class="field"><span>${title}</span><input ${attributes} />${note}</label>`
}
