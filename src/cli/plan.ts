/** `mindglue plan`: what the namespace's plan allows and how much it holds, and putting it on another. */
import type { PlanReport } from '../daemon/plan.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'

export interface PlanOptions extends OperatorOptions {
  /** Plan to change to; undefined: only say. */
  readonly plan: string | undefined
  readonly isJson: boolean
}

/** Exit code 0. Throws AppError `invalid_input` for a plan that is not configured. */
export async function runPlan(options: PlanOptions): Promise<number> {
  const input = options.plan === undefined ? {} : { plan: options.plan }
  const report = await withOperator(options, async (operator) => await operator.run('plan', input))
  if (options.isJson) printJson(report)
  else printReport(report, options.config.namespaceName)
  return 0
}

function printReport(report: PlanReport, namespaceName: string): void {
  const style = styleFor(process.stdout)
  print(`Namespace ${namespaceName} is on the plan ${style.bold(report.plan)}.`)
  if (!report.is_enforced) print(style.dim('Plans bound nothing here: see MINDGLUE_LIMITS.'))
  print(
    columns([
      ['', 'held', 'allowed'],
      ['requests a minute', '', figure(report.requests_per_minute)],
      ['memories', figure(report.memories.held), figure(report.memories.allowed)],
      ['megabytes of text', megabytes(report.bytes.held), megabytes(report.bytes.allowed)],
    ]),
  )
}

function figure(value: number | null): string {
  return value === null ? 'unlimited' : value.toLocaleString('en')
}

function megabytes(bytes: number | null): string {
  return bytes === null
    ? 'unlimited'
    : (bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })
}
