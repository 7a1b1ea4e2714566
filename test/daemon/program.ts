/** Compiles the daemon's code and its test programs once, and runs them as real processes. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

const repository = resolve(import.meta.dirname, '../..')

/** Node 20 runs no TypeScript: emits the fixtures and what they import; type errors are tsc's own run. */
export async function compileFixtures(): Promise<{ directory: string; remove(): Promise<void> }> {
  await mkdir(join(repository, '.cache'), { recursive: true })
  const directory = mkdtempSync(join(repository, '.cache/daemon-fixtures-'))
  const project = join(directory, 'tsconfig.json')
  writeFileSync(
    project,
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { noEmit: false, noCheck: true, rootDir: repository, outDir: directory },
      include: ['../../test/daemon/fixtures/*.ts'],
    }),
  )
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  execFileSync(process.execPath, [
    join(repository, 'node_modules/typescript/bin/tsc'),
    '-p',
    project,
  ])
  return { directory, remove: async () => await rm(directory, { recursive: true, force: true }) }
}

/** A private directory of its own for each test. */
export function freshDirectory(prefix = 'mindglue-daemon-'): string {
  return mkdtempSync(join(tmpdir(), prefix))
}

export interface Running {
  readonly child: ChildProcess
  readonly lines: readonly string[]
  readonly errors: () => string
  /** The next line of stdout that is not read yet; rejects when the process ends first. */
  nextLine(): Promise<string>
  send(text: string): void
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Starts a compiled program and reads its stdout by lines. */
export function run(script: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const lines: string[] = []
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  let read = 0
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdin.on('error', () => undefined)
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    const next = waiting.shift()
    if (next === undefined) return
    read++
    next.resolve(line)
  })
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) => {
    child.once('close', (code, signal) => {
      const text = `ended with ${String(code ?? signal)} before it answered: ${errors}`
      for (const next of waiting.splice(0)) next.reject(new Error(text))
      done({ code, signal })
    })
  })
  return {
    child,
    lines,
    errors: () => errors,
    async nextLine() {
      const line = lines[read]
      if (line !== undefined) {
        read++
        return line
      }
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended: ${errors}`)
      return await new Promise((done, fail) => waiting.push({ resolve: done, reject: fail }))
    },
    send: (text) => void child.stdin.write(`${text}\n`),
    exit,
  }
}
