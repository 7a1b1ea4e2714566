/** What each context may see and change of the world, written down a second time and independent of the policies. */
import type { Context } from './contexts.ts'
import type { Row, World } from './world.ts'

const allTypes = [
  'fact',
  'preference',
  'event',
  'procedure',
  'decision',
  'task',
  'reference',
  'note',
]

export class Model {
  readonly #world: World
  constructor(world: World) {
    this.#world = world
  }

  /** Rows that a context may read. */
  visible(context: Context, table: string): readonly Row[] {
    return this.#rows(table).filter((row) => this.#isVisible(context, table, row))
  }

  /** Rows that a context may change, also those that it may not read. */
  changeable(context: Context, table: string, verb: 'update' | 'delete'): readonly Row[] {
    return this.#rows(table).filter((row) => this.#isChangeable(context, table, row, verb))
  }

  #rows(table: string): readonly Row[] {
    return this.#world.rows.get(table) ?? []
  }

  #isVisible(context: Context, table: string, row: Row): boolean {
    const { columns } = row
    const isOwn = isIn(columns, 'namespace', context.own)
    const grant = this.#grantOf(context)
    const isOfGrant = isIn(columns, 'namespace', grant?.columns['namespace'])
    switch (table.replace(/_\d+$/u, '')) {
      case 'memories':
        return grant
          ? isOfGrant && isGranted(columns, grant.columns)
          : isOwn &&
              isAllowed(context, columns) &&
              (columns['quarantine'] === '0' || has(context, 'q'))
      case 'postings':
      case 'embeddings':
      case 'sealed_embeddings': {
        const isCommon = Number(columns['document']) >= 0 || has(context, 'a')
        if (context.own !== undefined && isOwn && isCommon) return true
        return this.#memoryIsVisible(context, columns, ['document'])
      }
      case 'mentions':
        return (
          isOwn || (grant !== undefined && this.#memoryIsVisible(context, columns, ['document']))
        )
      case 'memory_keys':
        return (
          isOwn ||
          (grant !== undefined && this.#memoryIsVisible(context, columns, ['id', 'version']))
        )
      case 'namespaces':
      case 'namespace_keys':
        return isOwn || isOfGrant
      case 'feedback':
        return isOwn && (has(context, 'a') || this.#memoryIsVisible(context, columns, ['id']))
      case 'audit_events':
      case 'idempotency_keys':
      case 'confirmations':
        return isOwn && (columns['agent'] === context.agent || has(context, 'a'))
      case 'grants':
        return (
          (isOwn && has(context, 'a')) || isIn(columns, 'grantee', context.own ?? context.reader)
        )
      case 'namespace_names':
        return isDirectory(context) || has(context, 'j') || isOwn
      case 'root_keys':
        return isDirectory(context) || has(context, 'j')
      case 'api_keys':
      case 'account_invitations':
        return isDirectory(context) || (isOwn && has(context, 'a'))
      case 'account_members':
        return (
          isDirectory(context) ||
          (isOwn && (has(context, 'a') || columns['agent'] === context.agent))
        )
      case 'accounts':
        return (
          isDirectory(context) ||
          (has(context, 'a') && this.#isMember(context, columns['id'], () => true))
        )
      case 'oauth_grants':
        return (
          isDirectory(context) || (isOwn && (has(context, 'a') || this.#isPersonOf(context, row)))
        )
      case 'oauth_clients':
        return (
          isDirectory(context) ||
          this.visible(context, 'oauth_grants').some(
            ({ columns: { client } }) => client === columns['id'],
          )
        )
      case 'account_sessions':
      case 'account_networks':
      case 'account_mails':
      case 'account_delays':
      case 'account_recovery_codes':
      case 'oauth_artifacts':
        return isDirectory(context)
      case 'entities':
      case 'vector_partitions':
      case 'partitioned_embeddings':
        return isOwn
      default:
        throw new TypeError(`no model of ${table}`)
    }
  }

  #isChangeable(context: Context, table: string, row: Row, verb: 'update' | 'delete'): boolean {
    if (isDirectoryTable(table)) return this.#isDirectoryChangeable(context, table, row, verb)
    if (context.own === undefined) return false
    const { columns } = row
    const isOwn = isIn(columns, 'namespace', context.own)
    const isHidden = (by: readonly string[]) =>
      !has(context, 'a') && !this.#memoryIsVisible(context, columns, by)
    if (table === 'memory_keys' && isHidden(['id', 'version'])) return false
    if (table === 'mentions' && Number(columns['document']) < 0 && isHidden(['document']))
      return false
    if (
      table === 'entities' &&
      verb === 'delete' &&
      !has(context, 'a') &&
      this.#isMentioned(columns)
    )
      return false
    if (table === 'memories') return isOwn && isAllowed(context, columns)
    if (table === 'grants') {
      const isParty = isOwn || isIn(columns, 'grantee', context.own)
      return isParty && has(context, 'a') && (verb === 'delete' || columns['revoked_at'] === null)
    }
    return isOwn && this.#isVisible(context, table, row)
  }

  /** The directory writes all of it; a namespace's administrators, members and jobs what is theirs. */
  #isDirectoryChangeable(
    context: Context,
    table: string,
    row: Row,
    verb: 'update' | 'delete',
  ): boolean {
    if (isDirectory(context)) return true
    const isSeen = this.#isVisible(context, table, row)
    switch (table) {
      case 'api_keys':
      case 'account_invitations':
      case 'oauth_grants':
        return isSeen
      case 'account_members':
        return isSeen && has(context, 'a')
      case 'namespace_names':
        return isIn(row.columns, 'namespace', context.own)
      case 'oauth_clients':
        return isSeen && verb === 'update'
      case 'root_keys':
        return isSeen && verb === 'delete'
      default:
        return false
    }
  }

  #isMember(
    { own }: Context,
    account: string | null | undefined,
    is: (columns: Row['columns']) => boolean,
  ): boolean {
    return this.#rows('account_members').some(
      ({ columns }) =>
        isIn(columns, 'namespace', own) && columns['account'] === account && is(columns),
    )
  }

  /** Whether the context's agent is the person whose row it is. */
  #isPersonOf(context: Context, { columns }: Row): boolean {
    return this.#isMember(context, columns['account'], ({ agent }) => agent === context.agent)
  }

  #isMentioned({ namespace, entity }: Row['columns']): boolean {
    return this.#rows('mentions').some(
      ({ columns }) => columns['namespace'] === namespace && columns['entity'] === entity,
    )
  }

  #memoryIsVisible(context: Context, of: Row['columns'], by: readonly string[]): boolean {
    return this.visible(context, 'memories').some(({ columns }) =>
      ['namespace', ...by].every((column) => columns[column] === of[column]),
    )
  }

  /** The grant that a context names, where it is in force. */
  #grantOf({ grant, home, reader }: Context): Row | undefined {
    return this.#rows('grants').find(
      ({ columns }) =>
        columns['id'] === grant &&
        columns['namespace'] === home &&
        columns['grantee'] === reader &&
        columns['revoked_at'] === null &&
        isToCome(columns['expires_at']),
    )
  }
}

/** What belongs to no namespace, or is asked for before there is one. */
export const directoryTables = [
  'accounts',
  'account_sessions',
  'account_networks',
  'account_mails',
  'account_delays',
  'account_recovery_codes',
  'account_members',
  'account_invitations',
  'api_keys',
  'oauth_clients',
  'oauth_grants',
  'oauth_artifacts',
  'root_keys',
  'namespace_names',
] as const
const isDirectoryTable = (table: string): boolean => directoryTables.some((name) => name === table)

const isDirectory = ({ own, flags }: Context): boolean => own === undefined && flags === 'd'
const has = ({ flags }: Context, flag: string): boolean => flags.includes(flag)

function isIn(
  columns: Row['columns'],
  column: string,
  namespace: string | null | undefined,
): boolean {
  return namespace !== undefined && namespace !== null && columns[column] === namespace
}

function isToCome(time: string | null | undefined): boolean {
  return time === null || time === undefined || new Date(time) > new Date()
}

/** By access: everybody's, or of the agent that owns it or is named, or an administrator's to see. */
function isAllowed(context: Context, columns: Row['columns']): boolean {
  const readers = (columns['readers'] ?? '').replaceAll(/[[\]{}" ]/gu, '').split(',')
  return (
    columns['access'] !== 'private' ||
    columns['owner_agent'] === context.agent ||
    readers.includes(context.agent ?? '') ||
    has(context, 'a')
  )
}

function isGranted(memory: Row['columns'], grant: Row['columns']): boolean {
  const levels = grant['includes_shared'] === 'true' ? ['public', 'shared'] : ['public']
  const types = grant['types']?.split(' ') ?? allTypes
  const isLive =
    memory['is_current'] === 'true' &&
    memory['valid_to'] === null &&
    memory['quarantine'] === '0' &&
    isToCome(memory['expires_at'])
  return (
    isLive &&
    levels.includes(memory['access'] ?? '') &&
    types.includes(memory['type'] ?? '') &&
    isMarked(memory, grant['mark'] ?? null)
  )
}

/** Whether the mark, eight bytes big endian, is an item of the memory's packed lists. */
function isMarked(memory: Row['columns'], mark: string | null): boolean {
  if (mark === null) return true
  const wanted = BigInt.asUintN(64, BigInt(mark)).toString(16).padStart(16, '0')
  const lists = ['tag_terms', 'entities'].map((column) => memory[column]?.slice(2) ?? '').join('')
  return lists.match(/.{16}/gu)?.includes(wanted) === true
}
