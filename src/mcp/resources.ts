/** Memories as resources: pages of them, reading one, completing the parts of their URIs. */
import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type ListResourcesResult,
  type ReadResourceResult,
  type Resource,
  type ResourceTemplateType,
} from '@modelcontextprotocol/server'
import { toAppError } from '../errors.ts'
import { recallNotes } from '../memory/budget.ts'
import type { PresentedMemory } from '../memory/present.ts'
import { cleanLine } from '../pipeline/clean.ts'
import type { Principal } from '../principal.ts'
import type { ExecuteOptions } from '../execute.ts'
import type { McpHost, RecallOutput } from './host.ts'
import { fence, memoryText, neutral } from '../memory/text.ts'
import { fairShares, sourceName } from '../memory/trust.ts'
import { parseResourceUri, resourceUri, uriTemplates, type ResourceName } from './resource-uri.ts'

/** Memories on a page of `resources/list`. */
const pageSize = 100
/** Memories in one `recent` or entity resource. */
const readMax = 50
const titleLengthMax = 80
const mimeType = 'text/markdown'

/** The same for everyone: the namespace is a variable. */
const templates: readonly ResourceTemplateType[] = [
  {
    name: 'memory',
    title: 'A memory',
    description: 'The current version of one memory.',
    uriTemplate: uriTemplates.memory,
    mimeType,
  },
  {
    name: 'memory-history',
    title: 'History of a memory',
    description: 'Every version of one memory, newest first.',
    uriTemplate: uriTemplates.history,
    mimeType,
  },
  {
    name: 'entity',
    title: 'A name',
    description: 'Memories that mention a person, place, project or thing.',
    uriTemplate: uriTemplates.entity,
    mimeType,
  },
]

/** Old versions can be read only where the operation has a way to ask for them. */
function readsHistory(host: McpHost): boolean {
  return 'include_history' in host.operations.recall.input.shape
}

/** The templates of what can be read. */
export function resourceTemplates(host: McpHost): ResourceTemplateType[] {
  return templates.filter(
    ({ uriTemplate }) => uriTemplate !== uriTemplates.history || readsHistory(host),
  )
}

/** What a URI names for the principal; undefined for what nobody could read. */
function nameOf(
  host: McpHost,
  { namespaceName }: Principal,
  uri: string,
): ResourceName | undefined {
  const name = parseResourceUri(uri, namespaceName)
  return name?.kind === 'history' && !readsHistory(host) ? undefined : name
}

/** Who reads, and how the reading is cut off. */
export interface ResourceCall {
  readonly principal: Principal
  readonly options: ExecuteOptions
}

/** One page, newest first. The cursor is the operation's own: signed and bound to the principal. */
export async function listResources(
  host: McpHost,
  { principal, options }: ResourceCall,
  cursor: string | undefined,
): Promise<ListResourcesResult> {
  const input = { limit: pageSize, ...(cursor !== undefined && { cursor }) }
  const page = await asProtocolError(() =>
    host.execute(host.operations.recall, principal, input, options),
  )
  const { namespaceName } = principal
  const memories = page.results.map((memory) => describe(namespaceName, memory))
  return {
    resources: cursor === undefined ? [...ownResources(namespaceName), ...memories] : memories,
    ...(page.next_cursor !== undefined && { nextCursor: page.next_cursor }),
  }
}

function ownResources(namespaceName: string): Resource[] {
  return [
    {
      uri: resourceUri(namespaceName, { kind: 'brief' }),
      name: 'brief',
      title: 'Brief',
      description:
        'What to know at the start of a session: pinned, due, last session, what holds about the main names.',
      mimeType,
      annotations: { priority: 1 },
    },
    {
      uri: resourceUri(namespaceName, { kind: 'recent' }),
      name: 'recent',
      title: 'Newest memories',
      description: `The newest ${readMax} memories.`,
      mimeType,
    },
  ]
}

function describe(namespaceName: string, memory: PresentedMemory): Resource {
  const line = neutral(cleanLine(memory.content.slice(0, titleLengthMax * 4)))
  const title = line.length > titleLengthMax ? `${line.slice(0, titleLengthMax - 1)}…` : line
  return {
    uri: resourceUri(namespaceName, { kind: 'memory', id: memory.id }),
    name: memory.id,
    title,
    description: `${memory.type}, ${memory.occurred_at.slice(0, 10)}`,
    mimeType,
    size: Buffer.byteLength(memory.content),
    annotations: { priority: memory.importance, lastModified: memory.recorded_at },
  }
}

/** Reads one resource. Throws the protocol's not-found error for what the principal cannot see. */
export async function readResource(
  host: McpHost,
  call: ResourceCall,
  uri: string,
): Promise<ReadResourceResult> {
  const name = nameOf(host, call.principal, uri)
  if (name === undefined) throw new ResourceNotFoundError(uri)
  if (name.kind === 'brief') {
    return { contents: [{ uri, mimeType, text: await readBrief(host, call, {}) }] }
  }
  const { results, versions_left_out } = await asProtocolError(() => memoriesOf(host, call, name))
  if (results.length === 0 && name.kind !== 'recent') throw new ResourceNotFoundError(uri)
  const shown = 'id' in name ? results : fairlyShared(results)
  const memories = fence(shown.map((memory) => memoryText(memory)))
  const text = [memories, ...recallNotes({ versions_left_out })].join('\n')
  return { contents: [{ uri, mimeType, text }] }
}

/** What is read as one text, without a next page, is no place for one source from outside to fill. */
function fairlyShared(memories: readonly PresentedMemory[]): PresentedMemory[] {
  const mayTake = fairShares(readMax)
  return memories.filter(({ source: { kind, trust, agent }, owner_agent: owner }) =>
    mayTake({ trust, from: sourceName(kind, agent ?? owner) }),
  )
}

/** A brief as data for a model. Throws the protocol's errors. */
export async function readBrief(
  host: McpHost,
  { principal, options }: ResourceCall,
  input: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { text } = await asProtocolError(() =>
    host.execute(host.operations.brief, principal, input, options),
  )
  return fence([text])
}

/** The URIs of the list that name something the principal can read now; only those can be watched. */
export async function subscribableUris(
  host: McpHost,
  call: ResourceCall,
  uris: readonly string[],
): Promise<string[]> {
  const named = [...new Set(uris)].flatMap((uri) => {
    const name = nameOf(host, call.principal, uri)
    return name === undefined ? [] : [{ uri, name }]
  })
  const ids = named.flatMap(({ name }) => ('id' in name ? [name.id] : []))
  if (ids.length === 0) return named.filter(({ name }) => isWatched(name)).map(({ uri }) => uri)
  const { missing = [] } = await asProtocolError(() =>
    host.execute(host.operations.recall, call.principal, { ids }, call.options),
  )
  const absent = new Set(missing)
  return named
    .filter(({ name }) => isWatched(name) && !('id' in name && absent.has(name.id)))
    .map(({ uri }) => uri)
}

/** Changes carry ids, so a memory, its history and the newest are announced; a name is not. */
function isWatched(name: ResourceName): boolean {
  return name.kind !== 'entity'
}

function memoriesOf(
  host: McpHost,
  { principal, options }: ResourceCall,
  name: ReadByRecall,
): Promise<RecallOutput> {
  return host.execute(host.operations.recall, principal, recallInput(name), options)
}

type ReadByRecall = Exclude<ResourceName, { kind: 'brief' }>

function recallInput(name: ReadByRecall): Readonly<Record<string, unknown>> {
  switch (name.kind) {
    case 'memory':
      return { ids: [name.id] }
    case 'history':
      return { ids: [name.id], include_history: true }
    case 'entity':
      return { entity: name.name, limit: readMax }
    case 'recent':
      return { limit: readMax }
    default:
      return name satisfies never
  }
}

/** What went wrong, as the protocol says it: resources have no error results. */
export async function asProtocolError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const { code, publicMessage, retryable } = toAppError(thrown)
    const isCallers = code === 'invalid_input' || code === 'not_found'
    throw new ProtocolError(
      isCallers ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
      cleanLine(publicMessage),
      { code, retryable },
    )
  }
}
