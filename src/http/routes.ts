/** Every operation and its REST routes: the table of contents of the REST API. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Operations } from '../operations.ts'
import { emailAddress } from '../accounts/email.ts'
import { memoryId } from '../memory/memory.ts'
import { exportMediaTypes, exportStream } from './export-stream.ts'
import { route, type Reply, type Route } from './route.ts'

/** Filters and pages of a listing; the rest of `recall` asks or reads. */
const listing =
  'types tags entity agent session speaker after before as_of include_history include_quarantined limit cursor'.split(
    ' ',
  )
/** Entries of a page where the request says nothing: as the operations have it. */
const defaultPage = 100

/**
 * One entry for each operation, an empty one where REST has none: an operation that is not in here does
 * not compile. The input and the output are the operation's own unless the entry says what differs.
 */
export function createRoutes(operations: Operations): readonly Route[] {
  const table: Record<keyof Operations, readonly Route[]> = {
    store: storeRoutes(operations),
    edit: [route('editMemory', 'PATCH', '/memory/{id}', operations.edit, memoryChange)],
    retire: [route('retireMemory', 'POST', '/memory/{id}/retire', operations.retire, memoryChange)],
    restore: [
      route('restoreMemory', 'POST', '/memory/{id}/restore', operations.restore, memoryChange),
    ],
    pin: [route('pinMemory', 'POST', '/memory/{id}/pin', operations.pin, memoryChange)],
    feedback: [
      route('rateMemory', 'POST', '/memory/{id}/feedback', operations.feedback, memoryChange),
    ],
    recall: recallRoutes(operations),
    brief: [route('readBrief', 'GET', '/brief', operations.brief)],
    forget: forgetRoutes(operations),
    export: [
      route('exportMemories', 'GET', '/memory/export', operations.export, {
        description:
          'Everything you may read. As JSON one page with a link to the next; as JSON Lines or Markdown, asked for with `Accept`, all of it in one streamed answer. An answer that breaks off is not complete.',
        streams: exportMediaTypes,
        stream: (call, mediaType) => exportStream(operations.export, call, mediaType),
      }),
    ],
    // Runs from the command line alone: owners and times would be whatever a file says.
    import: [],
    entityNames: [route('listEntities', 'GET', '/entities', operations.entityNames)],
    auditQuery: [
      route('readAudit', 'GET', '/audit', operations.auditQuery, {
        next: ({ events }, { limit }) => before(events, limit),
      }),
    ],
    quarantineList: [route('listQuarantine', 'GET', '/quarantine', operations.quarantineList)],
    quarantineApprove: [
      route('approveQuarantined', 'POST', '/quarantine/approve', operations.quarantineApprove),
    ],
    quarantineReject: [
      route('rejectQuarantined', 'POST', '/quarantine/reject', operations.quarantineReject),
    ],
    rollback: [
      route('rollBack', 'POST', '/rollback', operations.rollback, { reply: confirmedOrAsked }),
    ],
    memberList: [
      route('listMembers', 'GET', '/members', operations.memberList, {
        next: ({ members }, { limit }) => afterMember(members, limit),
      }),
    ],
    memberInvite: [
      route('inviteMember', 'POST', '/members', operations.memberInvite, {
        statuses: [201],
        reply: () => ({ status: 201 }),
      }),
    ],
    memberSet: [
      route('changeMember', 'PATCH', '/members/{email}', operations.memberSet, {
        path: memberInPath,
      }),
    ],
    memberRemove: [
      route('removeMember', 'DELETE', '/members/{email}', operations.memberRemove, {
        path: memberInPath,
      }),
    ],
    clientList: [
      route('listClients', 'GET', '/clients', operations.clientList, {
        next: ({ clients }, { limit }) => afterClient(clients, limit),
      }),
    ],
    clientRevoke: [route('revokeClient', 'POST', '/clients/revoke', operations.clientRevoke)],
    keyIssue: [
      route('issueKey', 'POST', '/keys', operations.keyIssue, {
        statuses: [201],
        reply: () => ({ status: 201 }),
      }),
    ],
    keyList: [
      route('listKeys', 'GET', '/keys', operations.keyList, {
        next: ({ keys }, { limit }) => before(keys, limit),
      }),
    ],
    keyRotate: [
      route('rotateKey', 'POST', '/keys/{id}/rotate', operations.keyRotate, { path: keyInPath }),
    ],
    keyRevoke: [
      route('revokeKey', 'DELETE', '/keys/{id}', operations.keyRevoke, { path: keyInPath }),
    ],
    grantCreate: [
      route('createGrant', 'POST', '/grants', operations.grantCreate, {
        statuses: [201],
        reply: () => ({ status: 201 }),
      }),
    ],
    grantList: [
      route('listGrants', 'GET', '/grants', operations.grantList, {
        next: ({ grants }, { limit }) => before(grants, limit),
      }),
    ],
    grantRevoke: [
      route('revokeGrant', 'DELETE', '/grants/{id}', operations.grantRevoke, {
        path: { id: z.uuid().describe('Id of the grant, as the list shows it') },
      }),
    ],
    namespaceList: [route('listNamespaces', 'GET', '/namespaces', operations.namespaceList)],
    namespaceRead: [
      route('readNamespace', 'GET', '/namespaces/{name}', operations.namespaceRead, {
        path: namespaceInPath,
      }),
    ],
    namespaceSet: [
      route('changeNamespace', 'PATCH', '/namespaces/{name}', operations.namespaceSet, {
        path: namespaceInPath,
      }),
    ],
    instructionsRead: [
      route('readInstructions', 'GET', '/instructions', operations.instructionsRead),
    ],
    instructionsSet: [
      route('setInstructions', 'PATCH', '/instructions', operations.instructionsSet),
    ],
    usageRead: [route('readUsage', 'GET', '/usage', operations.usageRead)],
    planList: [route('listPlans', 'GET', '/plans', operations.planList)],
  }
  return Object.values(table).flat()
}

const keyInPath = { id: z.string().max(128).describe('Id of the key, as the list shows it') }
const memberInPath = { email: emailAddress.describe('Address of the person') }
const namespaceInPath = { name: z.string().max(63).describe('Name of the namespace') }
const memoryInPath = { id: memoryId }
const memoryChange = { path: memoryInPath, sends: ['ETag'], reply: changed } as const

function storeRoutes({ store }: Pick<Operations, 'store'>): readonly Route[] {
  return [
    route('storeMemory', 'POST', '/memory', store, {
      title: 'Store a memory',
      description:
        'Remembers something for later. 201 with its address when it is new, 200 when it was there already.',
      without: ['memories'],
      required: ['content'],
      statuses: [201, 200],
      sends: ['ETag', 'Location'],
      reply: ({ results }) => {
        const [stored] = results
        if (stored === undefined) throw new TypeError('a store answered with nothing')
        const location = `/memory/${stored.id}`
        // What was there already is as it was left, which this answer does not say.
        if (stored.status !== 'stored') return { status: 200, headers: { location } }
        return { status: 201, headers: { location, ...stateFields(stored) } }
      },
    }),
    route('storeMemories', 'POST', '/memory/batch', store, {
      title: 'Store several memories',
      description: 'Up to 500 memories, stored all together or not at all.',
      only: ['memories', 'idempotency_key'],
      required: ['memories'],
    }),
  ]
}

function recallRoutes({ recall }: Pick<Operations, 'recall'>): readonly Route[] {
  const { results } = recall.output.shape
  return [
    route('recallMemories', 'POST', '/memory/recall', recall),
    route('listMemories', 'GET', '/memory', recall, {
      title: 'List memories',
      description:
        'Newest first, a page at a time. Names in a query may end up in the logs of what lies in between: POST /memory/recall takes the same filters in its body.',
      only: listing,
    }),
    route('readMemory', 'GET', '/memory/{id}', recall, {
      title: 'Read a memory',
      description: 'The current version. Its number begins the ETag.',
      only: [],
      path: memoryInPath,
      fromPath: ({ id }) => ({ ids: [id] }),
      response: results.element,
      sends: ['ETag', 'Link'],
      reply: (output) => {
        const [memory] = output.results
        if (memory === undefined) throw notFound()
        const link = `</memory/${memory.id}/history>; rel="version-history"`
        return { body: memory, headers: { link, ...stateFields(memory) } }
      },
    }),
    route('readHistory', 'GET', '/memory/{id}/history', recall, {
      title: 'Read every version of a memory',
      description: 'Newest first, each with whether it holds now.',
      only: [],
      path: memoryInPath,
      fromPath: ({ id }) => ({ ids: [id], include_history: true }),
      response: z.object({ results }),
      reply: (output) => {
        if (output.results.length === 0) throw notFound()
        return { body: { results: output.results } }
      },
    }),
  ]
}

function forgetRoutes({ forget }: Pick<Operations, 'forget'>): readonly Route[] {
  const asked =
    ' More than one memory: 409 with `confirm_token` in `details` and the count; the same request with the token forgets exactly what was counted, less what changed since. With `query` also for one memory, and `details` lists each.'
  return [
    route('forgetMemories', 'DELETE', '/memory', forget, {
      description: `Deletes for good what the query names; filters narrow together.${asked}`,
      reply: confirmedOrAsked,
    }),
    route('forgetByBody', 'POST', '/memory/forget', forget, {
      title: 'Forget memories named in a body',
      description: `The same as DELETE /memory, for names that do not belong in an address and lists that do not fit into one.${asked}`,
      reply: confirmedOrAsked,
    }),
    route('forgetMemory', 'DELETE', '/memory/{id}', forget, {
      title: 'Forget a memory',
      description: 'Deletes it for good, with every version.',
      only: ['dry_run'],
      path: memoryInPath,
      fromPath: ({ id }) => ({ ids: [id] }),
      reply: (output) => {
        if (output.memories === 0) throw notFound()
        return {}
      },
    }),
  ]
}

interface Removal {
  readonly status: 'forgotten' | 'dry_run' | 'confirmation_required'
  readonly memories: number
  readonly versions: number
  readonly confirm_token?: string | undefined
  readonly confirm_before?: string | undefined
}

/** What only asks has deleted nothing: over HTTP that is no success. */
function confirmedOrAsked({ status, ...counted }: Removal): Partial<Reply> {
  if (status !== 'confirmation_required') return {}
  const { memories, versions } = counted
  throw new AppError(
    'confirmation_required',
    `This would forget ${memories} memories (${versions} versions) for good. Send it again with confirm_token to do so.`,
    { details: counted },
  )
}

function notFound(): AppError {
  return new AppError('not_found', 'There is no such memory for you.')
}

/** A changed memory is another one. A repeated answer says how it was then, which is no tag of now. */
function changed({
  results,
  replayed,
}: {
  readonly results: readonly MemoryState[]
  readonly replayed: boolean
}): Partial<Reply> {
  const [memory] = results
  if (memory === undefined) throw new TypeError('a change answered with nothing')
  return replayed ? {} : { headers: stateFields(memory) }
}

/** What of a memory changes: everything else comes with a new version. */
interface MemoryState {
  readonly version: number
  readonly pinned?: true | undefined
  readonly expires_at?: string | undefined
}

/**
 * The tag changes with every change of the memory (RFC 9110 §8.8.1), and begins with the version that `If-Match`
 * is about (request-input.ts). The answer must not be compressed: that would weaken it (§8.8.3).
 */
function stateFields({ version, pinned, expires_at: end }: MemoryState): Record<string, string> {
  const life = pinned === true ? '-pinned' : end === undefined ? '' : `-until-${Date.parse(end)}`
  return { etag: `"${version}${life}"`, 'cache-control': 'no-store, no-transform' }
}

function afterMember(
  members: readonly { readonly email: string }[],
  limit: unknown,
): Readonly<Record<string, string>> | undefined {
  const last = members.at(-1)
  const isFull = members.length === (typeof limit === 'number' ? limit : defaultPage)
  return isFull && last ? { after_email: last.email } : undefined
}

function afterClient(
  clients: readonly { readonly email: string; readonly client: string }[],
  limit: unknown,
): Readonly<Record<string, string>> | undefined {
  const last = clients.at(-1)
  const isFull = clients.length === (typeof limit === 'number' ? limit : defaultPage)
  return isFull && last ? { after_email: last.email, after_client: last.client } : undefined
}

/** A full page has another one behind it, which begins before its last entry. */
function before(
  entries: readonly { readonly id: string }[],
  limit: unknown,
): Readonly<Record<string, string>> | undefined {
  const last = entries.at(-1)
  const isFull = entries.length === (typeof limit === 'number' ? limit : defaultPage)
  return isFull && last ? { before_id: last.id } : undefined
}
