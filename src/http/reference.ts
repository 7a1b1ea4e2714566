/** The OpenAPI document as a page to read: plain HTML, no script, nothing from elsewhere. */
import { createHash } from 'node:crypto'
import type { JsonSchema } from './json-schema.ts'
import type { OpenApiDocument, OpenApiOperation } from './openapi.ts'

const style = `
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:#4a7bd0}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{margin-bottom:0}h2{margin-top:2.5rem;text-transform:capitalize}
nav a{margin-right:1rem}a{color:var(--accent)}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:.5rem .75rem}
summary{cursor:pointer}code,pre{font-family:ui-monospace,monospace;font-size:.875rem}
code{background:var(--soft);border-radius:.25rem;padding:0 .25rem}
.method{display:inline-block;min-width:4.5rem;font-weight:700}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{border-top:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
.table{overflow-x:auto}
`

/** Page and the policy under which it is shown: its own style sheet by hash, and nothing else at all. */
export function referencePage(document: OpenApiDocument): {
  readonly html: string
  readonly policy: string
} {
  const hash = createHash('sha256').update(style).digest('base64')
  return {
    html: page(document),
    policy: `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  }
}

interface Entry {
  readonly path: string
  readonly method: string
  readonly operation: OpenApiOperation
}

function page(document: OpenApiDocument): string {
  const { title, version, description } = document.info
  const entries = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const tags = [...new Set(entries.flatMap(({ operation }) => operation.tags))]
  const sections = tags.map((tag) => {
    const own = entries.filter(({ operation }) => operation.tags.includes(tag))
    return `<h2 id="${escape(tag)}">${escape(tag)}</h2>${own.map((entry) => article(entry, document)).join('')}`
  })
  const links = tags.map((tag) => `<a href="#${escape(tag)}">${escape(tag)}</a>`).join('')
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)} REST API</title><style>${style}</style></head><body><header><h1>${escape(title)} REST API</h1><p>Version ${escape(version)} · <a href="/openapi.json">OpenAPI document</a></p><p>${prose(description)}</p><p>Send <code>Authorization: Bearer</code> with a key or an access token in every request.</p><nav>${links}</nav></header><main>${sections.join('')}</main></body></html>`
}

function article({ path, method, operation }: Entry, document: OpenApiDocument): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation
  const rows = parameters.map(({ name, in: place, required, description: text, schema }) =>
    row(name, `${typeText(schema)}, in ${place}`, required === true, text),
  )
  const body = requestBody && bodyRows(resolve(requestBody.content, document))
  const answers = Object.entries(responses).map(([status, response]) => {
    const schema = resolve(response.content, document)
    const fields = Object.keys(response.headers).map((name) => `<code>${escape(name)}</code>`)
    return `<h4>${status === 'default' ? 'Otherwise' : escape(status)}</h4><p>${prose(response.description)} <code>${Object.keys(response.content).map(escape).join('</code> <code>')}</code></p><p>Header fields: ${fields.join(' ')}</p>${status === 'default' ? '' : table(bodyRows(schema))}`
  })
  return `<details id="${escape(operationId)}"><summary><code class="method">${escape(method.toUpperCase())}</code> <code>${escape(path)}</code> ${escape(summary)}</summary><p>${prose(description)}</p>${rows.length > 0 ? `<h3>Parameters</h3>${table(rows)}` : ''}${body ? `<h3>Body</h3>${table(body)}` : ''}<h3>Answers</h3>${answers.join('')}</details>`
}

function resolve(
  content: Readonly<Record<string, { readonly schema: JsonSchema }>>,
  { components }: OpenApiDocument,
): JsonSchema {
  const [first] = Object.values(content)
  const name = String(first?.schema['$ref']).split('/').at(-1) ?? ''
  return components.schemas[name] ?? {}
}

function bodyRows(schema: JsonSchema): readonly string[] {
  const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
  return Object.entries(recordOf(schema['properties'])).map(([name, value]) => {
    const field = recordOf(value)
    const { description } = field
    return row(name, typeText(field), required.includes(name), textOf(description))
  })
}

function row(name: string, type: string, isRequired: boolean, text: string | undefined): string {
  return `<tr><td><code>${escape(name)}</code>${isRequired ? ' *' : ''}</td><td>${escape(type)}</td><td>${prose(text ?? '')}</td></tr>`
}

function table(rows: readonly string[]): string {
  if (rows.length === 0) return ''
  return `<div class="table"><table><thead><tr><th>Name (* needed)</th><th>Type</th><th>Meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

/** The type in words, with the bounds that matter to a caller. */
function typeText(schema: JsonSchema): string {
  if (Array.isArray(schema['enum'])) return schema['enum'].map(String).join(' | ')
  if (Array.isArray(schema['anyOf'])) {
    return schema['anyOf'].map((part: unknown) => typeText(recordOf(part))).join(' or ')
  }
  if (schema['type'] === 'array') return `list of ${typeText(recordOf(schema['items']))}`
  const { type = 'any', format, minimum, maximum, maxLength } = schema
  const bounds = [
    textOf(format),
    typeof minimum === 'number' ? `from ${minimum}` : undefined,
    typeof maximum === 'number' ? `to ${maximum}` : undefined,
    typeof maxLength === 'number' ? `up to ${maxLength} characters` : undefined,
  ].filter((bound) => bound !== undefined)
  return [String(type), ...bounds].join(', ')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** Descriptions mark code with backticks. */
function prose(text = ''): string {
  return escape(text).replaceAll(/`([^`]+)`/gu, '<code>$1</code>')
}

function escape(text = ''): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
