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
      case 'entities':
      case 'vector_partitions':
      case 'partitioned_embeddings':
        return isOwn
      default:
        throw new TypeError(`no model of ${table}`)
    }
  }

  #isChangeable(context: Context, table: string, row: Row, verb: 'update' | 'delete'): boolean {
    if (context.own === undefined) return false
    const { columns } = row
    const isOwn = isIn(columns, 'namespace', context.own)
    if (table === 'memories') return isOwn && isAllowed(context, columns)
    if (table === 'grants') {
      const isParty = isOwn || isIn(columns, 'grantee', context.own)
      return isParty && has(context, 'a') && (verb === 'delete' || columns['revoked_at'] === null)
    }
    return isOwn && this.#isVisible(context, table, row)
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
