/** `mindglue namespaces`: every namespace of this installation, for its operator. */
import type { NamespaceReport } from '../daemon/namespaces.ts'
import { agrees } from './agree.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
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
  printReport(report, options.isJson)
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

export async function runNamespaceSet(
  options: NamedOptions & { readonly plan: string },
): Promise<number> {
  const { name, plan } = options
  const report = await withOperator(options, (operator) =>
    operator.run('namespaces.set', { name, plan }),
  )
  if (options.isJson) printJson(report)
  else print(`Namespace ${name} is on the plan ${report.plan}.`)
  return 0
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

function printReport(report: NamespaceReport, isJson: boolean): void {
  if (isJson) return printJson(report)
  const style = styleFor(process.stdout)
  print(style.bold(report.name))
  return print(
    columns([
      ['encryption', report.encryption],
      ['plan', report.plan],
      ['embedder', report.embedder],
      ['made (UTC)', shortTime(report.created_at)],
      ['memories', report.memories.toLocaleString('en')],
      ['megabytes of text', megabytes(report.bytes)],
      ['grants', `${report.grants.given} given, ${report.grants.held} held`],
    ]),
  )
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })
}

function shortTime(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}
