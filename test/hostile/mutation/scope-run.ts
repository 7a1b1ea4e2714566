/**
 * The whole program over a copy of its sources in which each scope bears a mark; every statement is sent again
 * with no policy to help it and a twin of its namespace beside it, first as it is and then without each scope.
 * Prints one line of JSON.
 */
import type { Database, Sql, SqlText } from '../../../src/database/database.ts'
import { runEverything } from '../../support/everything.ts'
import { interceptDatabase, type Interceptor } from '../../support/intercept.ts'
import { openTestMemory } from '../../support/memory.ts'
import { contextOf, inlined, installReplay } from '../../support/replay.ts'
import { scopeExtras } from './scope-extras.ts'
import { markOf, sitesOf } from './sources.ts'
import { besideTwin, installTwin, type Beside } from './twin.ts'

/** A number that nobody has. */
const twin = 9_000_000_000_000_000_001n
/** How often a site is tried while nobody notices that it is gone: the first times there may be no rows. */
const triesMax = 12

/** Tables of which a namespace may have nothing. */
const emptiable = new Set(
  'memories feedback memory_keys postings embeddings sealed_embeddings mentions entities confirmations idempotency_keys grants vector_partitions partitioned_embeddings namespace_keys'.split(
    ' ',
  ),
)

const wanted = new Set((process.env['SITES'] ?? '').split(',').filter(Boolean))
const sites = sitesOf('scope')
const isWanted = (id: string): boolean => wanted.size === 0 || wanted.has(id)
const tries = new Map<string, number>()
const killed = new Map<string, string>()
const findings = new Set<string>()

// A statement of the program takes a copy of its namespace with it here, many times.
const memory = await openTestMemory({ profile: 'off', statementTimeoutMs: 600_000 })
await installReplay(memory.test.owner)
await installTwin(memory.test.owner)
if (memory.test.engine === 'postgres') {
  await memory.test.owner.ownerTransaction((_, script) =>
    script(`create table mindglue.partitioned_embeddings_twin partition of mindglue.partitioned_embeddings
      for values in (${twin})`),
  )
}
// A copy is written beside reading statements as well.
const writing: Database = {
  ...interceptDatabase(memory.test.database, observe),
  transaction: (options, work) =>
    interceptDatabase(memory.test.database, observe).transaction(
      { ...options, readOnly: false },
      work,
    ),
}
await runEverything(memory, writing)
await scopeExtras(memory, writing)
await memory.test.close()
const open = sites.filter(({ id }) => isWanted(id) && !killed.has(id))
process.stdout.write(
  `${JSON.stringify({ sites, killed: [...killed], open: open.map(({ id }) => [id, tries.get(id) ?? 0]), findings: [...findings] })}\n`,
)

function observe(sql: Sql): Interceptor {
  let own: bigint | undefined
  let turn: Promise<void> = Promise.resolve()
  return (statement) => {
    const opened = contextOf(statement)
    if (opened) own = opened.namespace
    const marks = sites.filter(({ id }) => statement.text.includes(markOf(id)))
    const left = marks.filter(
      ({ id }) => isWanted(id) && !killed.has(id) && (tries.get(id) ?? 0) < triesMax,
    )
    const namespace = own
    if (namespace === undefined || left.length === 0) return turn.then(() => statement)
    turn = turn.then(() =>
      examine(
        sql,
        namespace,
        statement,
        marks.map(({ id }) => id),
      ),
    )
    return turn.then(() => statement)
  }
}

async function examine(sql: Sql, own: bigint, statement: SqlText, marks: readonly string[]) {
  const text = inlined(statement)
  const isNoticed = watcher(sql, own, text)
  const left = marks.filter((id) => isWanted(id) && !killed.has(id))
  for (const id of left) {
    tries.set(id, (tries.get(id) ?? 0) + 1)
    if (await isNoticed(id)) killed.set(id, 'alone')
  }
  // What holds twice in one statement holds once without the other.
  for (const id of left.filter((each) => !killed.has(each))) {
    for (const other of nearest(marks, id)) {
      if (await isNoticed(other)) continue
      if (await isNoticed(other, id)) killed.set(id, `without ${other}`)
      if (killed.has(id)) break
    }
  }
}

/**
 * Tells whether a statement sees the twin without some of its scopes. That it does not see it as it is, is
 * asked where a mutant does, and nothing twice: a copy of the namespace costs more than the statement.
 */
function watcher(sql: Sql, own: bigint, text: string): (...without: string[]) => Promise<boolean> {
  const answers = new Map<string, Promise<string>>()
  const run = (without: readonly string[], beside: Beside): Promise<string> => {
    const name = [beside.twin, beside.isOther, beside.emptied, ...without].join()
    const answer =
      answers.get(name) ??
      besideTwin(sql, own, everywhere(without.reduce(withoutScope, text)), beside)
    answers.set(name, answer)
    return answer
  }
  const sees = async (without: readonly string[], emptied: string, isOther: boolean) => {
    const alone = await run(without, { twin: null, isOther: false, emptied })
    return alone !== (await run(without, { twin, isOther, emptied }))
  }
  const places = statesFor(text).flatMap((emptied) => [
    [emptied, false] as const,
    [emptied, true] as const,
  ])
  return async (...without) => {
    for (const [emptied, isOther] of places) {
      if (!(await sees(without, emptied, isOther))) continue
      if (!(await sees([], emptied, isOther))) return true
      findings.add(text)
    }
    return false
  }
}

/** The other scopes of a statement, those of the same file first: mostly it is one of them. */
function nearest(marks: readonly string[], id: string): readonly string[] {
  const [file = ''] = id.split(' ')
  const rank = (mark: string) => (mark.startsWith(file) ? 0 : 1)
  return marks.filter((each) => each !== id).toSorted((a, b) => rank(a) - rank(b))
}

/** The namespace as it is, and without what each table of the statement holds of it. */
function statesFor(text: string): readonly string[] {
  const tables = new Set(text.match(/(?<=\b(?:from|join) )[a-z_]+\b/gu))
  const own = [...tables].filter((name) => emptiable.has(name))
  return ['', ...own, 'all', 'renewed', ...(text.includes('is_current') ? ['retired'] : [])]
}

/** Places of rows that somebody else names are those of the twin as well. */
function everywhere(text: string): string {
  return text.replace(/= any\('\{[^']*\}'::tid\[\]\)/u, 'is not null')
}

function withoutScope(text: string, id: string): string {
  const mark = markOf(id)
  return text
    .split(mark)
    .map((part, index, parts) =>
      index === parts.length - 1
        ? part
        : part.replace(/\b(?:\w+\.)?(?:namespace|grantee) = (?:'\d+'|\w+\.namespace) $/u, 'true '),
    )
    .join(mark)
}
