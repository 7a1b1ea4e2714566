/** Test runs: every file on the embedded engine, and those that use a database on real Postgres as well. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { chromiumPath } from './test/support/chromium.ts'
import ClosingLineReporter from './test/support/closing-line-reporter.ts'

const { TEST_DATABASE_URL, TEST_REDIS_URL } = process.env

const ordinary = ['test/**/*.test.ts']
const exclude = ['**/node_modules/**', 'dist/**', '.cache/**']

/** A file that opens a test database, or the whole server over one, depends on the engine. */
const usesDatabase = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => join('test', name).replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) =>
    /support\/(database|app|oauth-app|accounts|memory)\.ts/.test(readFileSync(path, 'utf8')),
  )

/**
 * What HTTP alone serves: where there is a server it runs there alone, which starts faster. `FULL=1`, and a
 * machine without a server, take the embedded engine as well.
 */
const leftOutOfEmbedded =
  TEST_DATABASE_URL === undefined || process.env['FULL'] === '1'
    ? []
    : usesDatabase.filter((path) =>
        /^test\/(?:(?:accounts|auth|http|sidecar|telemetry)\/|hostile\/consent)/u.test(path),
      )

/**
 * One engine's share; the other engine's own file is not in it. `sequence.groupOrder` keeps two
 * engines from competing for two cores.
 */
function engine(name: 'embedded' | 'postgres', include: string[], groupOrder: number) {
  return {
    test: {
      name,
      include,
      exclude: [
        ...exclude,
        `test/**/${name === 'embedded' ? 'postgres' : 'embedded'}*.test.ts`,
        ...(name === 'embedded' ? leftOutOfEmbedded : []),
      ],
      env: { TEST_DATABASE: name },
      // An embedded engine costs about 300 MB and a core while it starts.
      maxWorkers: 2,
      testTimeout: 30_000,
      hookTimeout: 60_000,
      sequence: { groupOrder },
    },
  }
}

const leftOut = [
  ...(TEST_DATABASE_URL === undefined ? ['Postgres (TEST_DATABASE_URL is not set)'] : []),
  ...(TEST_REDIS_URL === undefined ? ['Redis (TEST_REDIS_URL is not set)'] : []),
  ...(chromiumPath === undefined ? ['Chromium (not installed, TEST_CHROMIUM is not set)'] : []),
]

export default defineConfig({
  test: {
    reporters: ['default', new ClosingLineReporter({ leftOut })],
    projects: [
      engine('embedded', ordinary, 0),
      ...(TEST_DATABASE_URL === undefined || usesDatabase.length === 0
        ? []
        : [engine('postgres', usesDatabase, 1)]),
    ],
  },
})
