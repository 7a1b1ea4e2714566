/** Compiles the daemon's code and its test programs once, and runs them as real processes. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

const repository = resolve(import.meta.dirname, '../..')

export interface Compiled {
  readonly directory: string
  remove(): Promise<void>
}

/** Test programs and what they import. */
export async function compileFixtures(): Promise<Compiled> {
  return await compile('daemon-fixtures-', repository, ['../../test/daemon/fixtures/*.ts'])
}

/** The product as it is shipped, in a place of its own: `dist/main.js` beside its assets. */
export async function compileProgram(): Promise<Compiled & { readonly main: string }> {
  const compiled = await compile('program-', join(repository, 'src'), ['../../src'], 'dist')
  for (const name of ['assets', 'migrations', 'package.json']) {
    await symlink(join(repository, name), join(compiled.directory, name))
  }
  // A template of the last build, when there is one: found by name only if it fits the migrations.
  const built = join(repository, 'dist')
  const templates = (existsSync(built) ? readdirSync(built) : []).filter((name) =>
    /^embedded-.*\.tar\.gz$/u.test(name),
  )
  for (const name of templates) {
    await symlink(join(built, name), join(compiled.directory, 'dist', name))
  }
  return { ...compiled, main: join(compiled.directory, 'dist/main.js') }
}

/** Node 20 runs no TypeScript. Emits only: type errors are the business of `npm run check`. */
async function compile(
  prefix: string,
  rootDir: string,
  include: readonly string[],
  output = '.',
): Promise<Compiled> {
  await mkdir(join(repository, '.cache'), { recursive: true })
  const directory = mkdtempSync(join(repository, '.cache', prefix))
  const project = join(directory, 'tsconfig.json')
  const outDir = join(directory, output)
  const compilerOptions = { noEmit: false, noCheck: true, rootDir, outDir }
  const settings = { extends: '../../tsconfig.json', compilerOptions, include }
  await writeFile(project, JSON.stringify(settings))
  await mkdir(outDir, { recursive: true })
  await writeFile(join(outDir, 'package.json'), '{"type":"module"}')
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', project])
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
export function run(
  script: string,
  args: readonly string[],
  environment?: Readonly<Record<string, string>>,
): Running {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(environment ? { env: environment } : {}),
  })
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
