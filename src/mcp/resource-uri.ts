/** URIs of memories as resources: what they name and how they are written. */

export type ResourceName =
  | { readonly kind: 'memory'; readonly id: string }
  | { readonly kind: 'history'; readonly id: string }
  | { readonly kind: 'entity'; readonly name: string }
  | { readonly kind: 'recent' }
  | { readonly kind: 'brief' }

const uriPattern = /^memory:\/\/(?<namespace>[^/?#]+)\/(?<path>[^?#]+)$/u
const idPattern = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/u
const uriLengthMax = 2048

/**
 * What a URI names within a namespace; undefined when it names nothing there. Another namespace's
 * URI is not distinguished from one that never existed.
 */
export function parseResourceUri(uri: string, namespaceName: string): ResourceName | undefined {
  if (uri.length > uriLengthMax) return undefined
  const parts = uriPattern.exec(uri)?.groups
  if (parts === undefined || parts['namespace'] !== namespaceName) return undefined
  const path = parts['path'] ?? ''
  if (path === 'recent' || path === 'brief') return { kind: path }
  const [first = '', second, ...rest] = path.split('/')
  if (rest.length > 0) return undefined
  if (first === 'entities' && second !== undefined) return entityName(second)
  if (!idPattern.test(first)) return undefined
  if (second === undefined) return { kind: 'memory', id: first }
  return second === 'history' ? { kind: 'history', id: first } : undefined
}

function entityName(encoded: string): ResourceName | undefined {
  try {
    const name = decodeURIComponent(encoded)
    return name === '' ? undefined : { kind: 'entity', name }
  } catch {
    // A broken percent sequence names nothing.
    return undefined
  }
}

/** The URI of a resource of a namespace (RFC 3986: names are percent-encoded). */
export function resourceUri(namespaceName: string, name: ResourceName): string {
  const base = `memory://${namespaceName}`
  switch (name.kind) {
    case 'memory':
      return `${base}/${name.id}`
    case 'history':
      return `${base}/${name.id}/history`
    case 'entity':
      return `${base}/entities/${encodeURIComponent(name.name)}`
    case 'recent':
    case 'brief':
      return `${base}/${name.kind}`
    default:
      return name satisfies never
  }
}

/** URI templates (RFC 6570) as clients see them. */
export const uriTemplates = {
  memory: 'memory://{namespace}/{id}',
  history: 'memory://{namespace}/{id}/history',
  entity: 'memory://{namespace}/entities/{name}',
} as const
