#!/usr/bin/env node
/** The start of the program: a client's pipe at once, anything else by way of the command line. */
import { fileURLToPath } from 'node:url'
import { exitWith } from './cli/exit.ts'
import { loadConfig } from './config.ts'
import { version } from './version.ts'

const entry = fileURLToPath(import.meta.url)

/** Without arguments a client launched us and waits: the command line's parser is not loaded. */
async function main(): Promise<number> {
  if (process.argv.length > 2) {
    const { runCommandLine } = await import('./cli/program.ts')
    return await runCommandLine(entry)
  }
  const { runStdio } = await import('./cli/stdio.ts')
  return await runStdio({ config: loadConfig(), version, entry })
}

async function fail(error: unknown): Promise<void> {
  const { printFailure } = await import('./cli/output.ts')
  printFailure(error)
  exitWith(1)
}

main().then(exitWith, fail)
