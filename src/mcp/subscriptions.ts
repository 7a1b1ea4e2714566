/** Changes of memories → the protocol's change notifications, within one namespace. */
/* oxlint-disable unicorn/prefer-add-event-listener -- protocol servers and transports are no event targets */
import type { Server, ServerEvent } from '@modelcontextprotocol/server'
import { mayUseTool, type Principal } from '../principal.ts'
import { changeIdsMax } from '../jobs/changes.ts'
import type { ChangeFeed } from './http.ts'
import type { McpHost, MemoryChange } from './host.ts'
import { resourceUri } from './resource-uri.ts'

/** A client that stores all the time need not reload its list more often. */
const listChangedIntervalMs = 1000
/** Resources that one 2025 session can watch. */
const watchedMax = 1000

/** The feed of `subscriptions/listen`: a principal hears of memories of its own namespace that it may see. */
export function changeFeed(host: Pick<McpHost, 'events'>): ChangeFeed {
  return (principal, listener) => {
    if (!mayRecall(principal)) return () => undefined
    const list = coalesced(() => listener({ kind: 'resources_list_changed' }))
    const end = host.events.onChange((change) => {
      if (!mayKnow(principal, change)) return
      for (const event of updatedBy(change, principal)) listener(event)
      list.trigger()
    })
    return () => {
      end()
      list.cancel()
    }
  }
}

/** A 2025 session has a stream whatever its credential is for; what reads nothing is told nothing. */
function mayRecall(principal: Principal): boolean {
  const { scopes } = principal
  return (scopes.has('memory:read') || scopes.has('admin')) && mayUseTool(principal, 'recall')
}

/** The time of a change tells something as well: of others' private memories nothing is announced. */
function mayKnow(
  { namespace, agent, scopes }: Principal,
  { namespace: changed, audience }: MemoryChange,
): boolean {
  if (changed !== namespace) return false
  return audience === undefined || scopes.has('admin') || audience.includes(agent)
}

function* updatedBy(change: MemoryChange, { namespaceName }: Principal): Iterable<ServerEvent> {
  // Every listener would be told of every memory, before anything else is served; the list says it as well.
  const ids = change.memoryIds.length < changeIdsMax ? change.memoryIds : []
  for (const id of ids) {
    yield { kind: 'resource_updated', uri: resourceUri(namespaceName, { kind: 'memory', id }) }
    yield { kind: 'resource_updated', uri: resourceUri(namespaceName, { kind: 'history', id }) }
  }
  yield { kind: 'resource_updated', uri: resourceUri(namespaceName, { kind: 'recent' }) }
  yield { kind: 'resource_updated', uri: resourceUri(namespaceName, { kind: 'brief' }) }
}

/** Runs `work` at once, then at most once an interval; the last trigger is never lost. */
function coalesced(work: () => void): { trigger(): void; cancel(): void } {
  let timer: NodeJS.Timeout | undefined
  let isPending = false
  const run = (): void => {
    isPending = false
    work()
    timer = setTimeout(() => {
      timer = undefined
      if (isPending) run()
    }, listChangedIntervalMs)
    timer.unref()
  }
  return {
    trigger: () => {
      if (timer === undefined) run()
      else isPending = true
    },
    cancel: () => clearTimeout(timer),
  }
}

/** What a 2025 session watches; `resources/subscribe` and `unsubscribe` change it. */
export interface Watched {
  /** False when the session watches too many already. */
  add(uri: string): boolean
  remove(uri: string): void
}

/**
 * Connects a long-lived protocol server to the changes of its principal's namespace until it
 * closes. In the 2026 era the entry filters by what each listen request asked for; in the 2025 era
 * only watched resources are announced, and the list's change once the client is initialized.
 */
export function announceChanges(
  server: Server,
  feed: ChangeFeed,
  principal: Principal,
  era: 'legacy' | 'modern',
): Watched {
  const watched = new Set<string>()
  let isReady = era === 'modern'
  server.oninitialized = () => {
    isReady = true
  }
  const end = feed(principal, (event) => {
    if (!isReady) return
    if (event.kind === 'resource_updated') {
      if (era === 'legacy' && !watched.has(event.uri)) return
      settle(server.sendResourceUpdated({ uri: event.uri }))
    } else if (event.kind === 'resources_list_changed') settle(server.sendResourceListChanged())
  })
  server.onclose = end
  return {
    add: (uri) => watched.has(uri) || (watched.size < watchedMax && watched.add(uri).has(uri)),
    remove: (uri) => void watched.delete(uri),
  }
}

/** A notification that cannot be delivered is lost with its connection, which is ending. */
function settle(sending: Promise<void>): void {
  sending.catch(() => undefined)
}
