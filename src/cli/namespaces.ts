/** `mindglue namespaces`: every namespace of this installation, for its operator. */
import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import type { NamespaceReport } from '../daemon/namespaces.ts'
import { AppError } from '../errors.ts'
import { agrees } from './agree.ts'
import { withOperator, type Operator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'

export interface NamespacesOptions extends OperatorOptions {
  readonly isJson: boolean
}
export interface NamedOptions extends NamespacesOptions {
  readonly name: string
}

export async function runNamespaceList(options: NamespacesOptions): Promise<number> {
  const { namespaces } = await withOperator(options, (operator) =>
    operator.run('namespaces.list', {}),
  )
  if (options.isJson) printJson(namespaces)
  else {
    const header = ['name', 'encryption', 'plan', 'memories', 'megabytes', 'made (UTC)']
    const rows = namespaces.map((one) => [
      one.name,
      one.encryption,
      one.plan,
      one.memories.toLocaleString('en'),
      megabytes(one.bytes),
      shortTime(one.created_at),
    ])
    print(columns([header, ...rows]))
  }
  return 0
}

export async function runNamespaceShow(options: NamedOptions): Promise<number> {
  const { name } = options
  const report = await withOperator(options, (operator) =>
    operator.run('namespaces.show', { name }),
  )
  const { instructions } = await inNamespace(options, (operator) =>
    operator.run('instructionsRead', {}),
  )
  printReport(report, options.isJson, instructions)
  return 0
}

export interface CreateTerms {
  readonly encryption?: 'off' | 'field' | 'sealed'
  readonly plan?: string
}

/** Exit code 0. Throws AppError `conflict` when there is one of the name. */
export async function runNamespaceCreate(
  options: NamedOptions & { readonly terms: CreateTerms },
): Promise<number> {
  const input = { name: options.name, ...options.terms }
  const report = await withOperator(options, (operator) => operator.run('namespaces.create', input))
  printReport(report, options.isJson)
  return 0
}

export interface NamespaceChanges {
  readonly plan?: string
  /** False takes them away. */
  readonly instructions?: string | false
  /** Read in their place; `-` is standard input. */
  readonly instructionsFile?: string
}

/** Exit code 0. Throws AppError `invalid_input` when nothing is to be changed, or both texts are given. */
export async function runNamespaceSet(
  options: NamedOptions & { readonly changes: NamespaceChanges },
): Promise<number> {
  const { name, changes, isJson } = options
  const instructions = await instructionsOf(changes)
  if (changes.plan === undefined && instructions === undefined) {
    throw new AppError('invalid_input', 'Say what to change: --plan or --instructions.')
  }
  const { plan } = changes
  const planned =
    plan === undefined
      ? await withOperator(options, (operator) => operator.run('namespaces.show', { name }))
      : await withOperator(options, (operator) => operator.run('namespaces.set', { name, plan }))
  const told =
    instructions === undefined
      ? undefined
      : await inNamespace(options, (operator) => operator.run('instructionsSet', { instructions }))
  if (isJson) printJson({ ...planned, ...(told && { instructions: told.instructions ?? null }) })
  else {
    if (plan !== undefined) print(`Namespace ${name} is on the plan ${planned.plan}.`)
    if (told?.instructions === undefined) {
      if (told) print(`Namespace ${name} has no instructions.`)
    } else print(`Clients of ${name} that connect from now on are told:\n${told.instructions}`)
  }
  return 0
}

/** Of a namespace that is there: the command works in it as in the one of `--namespace`. */
async function inNamespace<T>(
  options: NamedOptions,
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const config = { ...options.config, namespaceName: options.name }
  return await withOperator({ ...options, config }, work)
}

/** Null takes them away; undefined leaves them. A file's last line break is no part of them. */
async function instructionsOf({
  instructions,
  instructionsFile: path,
}: NamespaceChanges): Promise<string | null | undefined> {
  if (path === undefined) return instructions === false ? null : instructions
  if (instructions !== undefined) {
    throw new AppError('invalid_input', 'Give --instructions or --instructions-file, not both.')
  }
  const text = path === '-' ? await textOf(process.stdin) : await readFile(path, 'utf8')
  return text.replaceAll('\r\n', '\n').replace(/\n+$/u, '')
}

/** Exit code 0 when it is gone, 1 when it was not confirmed. */
export async function runNamespaceDelete(
  options: NamedOptions & { readonly isConfirmed: boolean },
): Promise<number> {
  const { name, isConfirmed, isJson } = options
  return await withOperator(options, async (operator) => {
    const asked = await operator.run('namespaces.delete', { name })
    const { confirm_token: token, memories, encryption } = asked
    const keys = encryption === 'off' ? '' : ', its keys'
    const what = `${name} with about ${memories.toLocaleString('en')} memories${keys} and its audit log`
    if (token === undefined) return 1
    if (!isConfirmed && !(await agrees(`Delete ${what} for good? [y/N] `))) {
      print(`Nothing was deleted. It would be ${what}; --yes does it without asking.`)
      return 1
    }
    const done = await operator.run('namespaces.delete', { name, confirm_token: token })
    if (isJson) printJson(done)
    else print(`Deleted ${name} for good: ${(done.rows ?? 0).toLocaleString('en')} rows.`)
    return 0
  })
}

function printReport(report: NamespaceReport, isJson: boolean, instructions?: string): void {
  if (isJson) return printJson({ ...report, ...(instructions !== undefined && { instructions }) })
  const style = styleFor(process.stdout)
  print(style.bold(report.name))
  print(
    columns([
      ['encryption', report.encryption],
      ['plan', report.plan],
      ['embedder', report.embedder],
      ['words', report.is_index_current ? 'up to date' : 'of an earlier version; run reindex'],
      ['made (UTC)', shortTime(report.created_at)],
      ['memories', report.memories.toLocaleString('en')],
      ['megabytes of text', megabytes(report.bytes)],
      ['grants', `${report.grants.given} given, ${report.grants.held} held`],
    ]),
  )
  if (instructions !== undefined) print(`${style.bold('instructions')}\n${instructions}`)
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })
}

function shortTime(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}
