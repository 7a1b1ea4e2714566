/** The funnel's word: whatever a caller aborts and whatever is lost, the answer, the rows and the notice agree. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Database } from '../src/database/database.ts'
import { toCommitError } from '../src/database/faults.ts'
import { createScope } from '../src/database/scope.ts'
import { AppError } from '../src/errors.ts'
import { createExecute, type ChangeListener } from '../src/execute.ts'
import type { Operations } from '../src/operations.ts'
import type { Principal } from '../src/principal.ts'
import { openTestMemory, type TestMemory } from './support/memory.ts'
import { countRows } from './support/rows.ts'

type Change = Parameters<ChangeListener>[0]
type Abort = () => void

let memory: TestMemory
let principal: Principal
let id: string
let changes: Change[] = []

beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())
beforeEach(async () => {
  principal = await memory.principal({ namespaceName: crypto.randomUUID() })
  const { results } = await memory.execute(memory.operations.store, principal, {
    content: 'The spare key is under the third pot.',
  })
  id = results[0]?.id ?? ''
  changes = []
})

/** `forget` of the one memory over a database; `at` says where within it the caller gives up. */
async function forget(
  database: Database,
  at: (operation: Operations['forget'], abort: Abort) => Operations['forget'],
  controller = new AbortController(),
) {
  const execute = createExecute({
    ...memory,
    scope: createScope(database, memory.test.contextKey),
    onChange: (change) => void changes.push(change),
  })
  const operation = at(memory.operations.forget, () => controller.abort())
  const asked = execute(operation, principal, { ids: [id] }, { signal: controller.signal })
  return await asked.catch((error: unknown) => error)
}

/** Rows of the memory, notices of its end, and what the audit log says of the request. */
async function state() {
  const forgets = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ outcome: string }>`
      select outcome from mindglue.audit_events
      where namespace = ${principal.namespace} and action = 'forget' order by id`,
  )
  return {
    memories: await countRows(memory, principal, 'memories'),
    notices: changes.map(({ resourceIds }) => resourceIds),
    audited: forgets.map(({ outcome }) => outcome),
  }
}

const kept = { memories: 1, notices: [] }

test.each<[string, (operation: Operations['forget'], abort: Abort) => Operations['forget']]>([
  [
    'before it runs',
    (operation, abort) => {
      abort()
      return operation
    },
  ],
  [
    'while it is prepared',
    (operation, abort) => ({
      ...operation,
      prepare: (context, input) => {
        abort()
        return operation.prepare(context, input)
      },
    }),
  ],
])('a forget that is cancelled %s forgets nothing, tells nobody and says so', async (_, at) => {
  const answer = await forget(memory.test.database, at)
  expect(answer).toMatchObject({ code: 'timeout' })
  expect(String(answer)).toContain('nothing was changed')
  expect(await state()).toEqual({ ...kept, audited: ['timeout'] })
})

test.each<[string, (abort: Abort) => void]>([
  ['within its transaction', (abort) => abort()],
  ['while COMMIT is on its way', setImmediate],
])(
  'a forget that is cancelled %s is what its answer says, and told if it is done',
  async (_, when) => {
    const answer = await forget(memory.test.database, (operation, abort) => ({
      ...operation,
      commit: async (...given) => {
        const committed = await operation.commit(...given)
        when(abort)
        return committed
      },
    }))
    expect(await state()).toEqual(
      answer instanceof AppError
        ? { ...kept, audited: [answer.code] }
        : { memories: 0, notices: [[id]], audited: ['ok'] },
    )
  },
)

test('a forget whose COMMIT is not answered is told as open, and whoever keeps copies lets them go', async () => {
  const answer = await forget(losingCommit(memory.test.database), (operation, abort) => ({
    ...operation,
    commit: (...given) => {
      abort()
      return operation.commit(...given)
    },
  }))
  expect(answer).toMatchObject({ code: 'unavailable' })
  expect(String(answer)).toContain('may or may not')
  expect(await state()).toEqual({ memories: 0, notices: [[id]], audited: ['ok', 'unavailable'] })
})

/** The same database, where the connection is lost with the answer to the COMMIT of an operation. */
function losingCommit(database: Database): Database {
  return {
    dialect: database.dialect,
    transaction: async (options, work) => {
      const result = await database.transaction(options, work)
      if (typeof result !== 'object' || result === null || !('output' in result)) return result
      throw toCommitError(new Error('the connection was lost'))
    },
    status: () => database.status(),
    maintain: (task, table) => database.maintain(task, table),
    close: () => database.close(),
  }
}
