/** `node --import` this to run a TypeScript test program as a process of its own; Node 20 cannot by itself. */
/* oxlint-disable typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-return,
   typescript/no-unsafe-assignment, typescript/no-unsafe-argument -- plain JavaScript is outside tsconfig */

import { existsSync, readFileSync } from 'node:fs'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { transformSync } from 'rolldown/utils'

// The hooks run in a thread of their own, which loads this file again.
if (isMainThread) register(import.meta.url)

/** A folder whose files are read in place of those of `src` of the same name, for suites that change some. */
const { SOURCE_COPY } = process.env
const sources = fileURLToPath(new URL('../../src/', import.meta.url))

/** Strips the types of `.ts` files; everything else takes the ordinary way. */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  const path = fileURLToPath(url)
  const copy = path.replace(sources, `${SOURCE_COPY}/`)
  const isCopied = SOURCE_COPY !== undefined && existsSync(copy)
  const { code, errors } = transformSync(path, readFileSync(isCopied ? copy : path, 'utf8'))
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`)
  return { format: 'module', source: code, shortCircuit: true }
}
