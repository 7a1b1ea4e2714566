/** Puts the embedded engine's template beside the compiled program: `node scripts/build-template.mjs`, after tsc. */

/* oxlint-disable typescript/no-unsafe-call, typescript/no-unsafe-assignment,
   typescript/no-unsafe-member-access -- plain JavaScript over what the build has just made */

import { fileURLToPath } from 'node:url'
import { buildTemplate } from '../dist/database/build-template.js'
import { readMigrations } from '../dist/database/migrate.js'

await buildTemplate(fileURLToPath(new URL('../dist/', import.meta.url)), await readMigrations())
