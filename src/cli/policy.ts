/** `mindglue policy`: what the namespace does with credentials and personal data in what it is given. */
import type { PolicyInput } from '../daemon/door-policy.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'

export interface PolicyOptions extends OperatorOptions {
  /** What to change; empty: only say. */
  readonly change: PolicyInput
  readonly isJson: boolean
}

const meaning = {
  allow: 'kept, not looked for',
  flag: 'kept, named in the answer',
  redact: 'replaced by a marker, named in the answer',
  refuse: 'the request is refused',
} as const

/** Exit code 0. Says what holds from now on; what is stored already stays as it is until a scan. */
export async function runPolicy(options: PolicyOptions): Promise<number> {
  const policy = await withOperator(options, (operator) => operator.run('policy', options.change))
  if (options.isJson) {
    printJson(policy)
    return 0
  }
  const style = styleFor(process.stdout)
  print(`Namespace ${options.config.namespaceName}`)
  print(
    columns([
      ['credentials', style.bold(policy.credentials), meaning[policy.credentials]],
      ['personal data', style.bold(policy.personal), meaning[policy.personal]],
    ]),
  )
  if (Object.keys(options.change).length > 0) {
    print(style.dim('What is stored already stays as it is; `mindglue scan` applies this to it.'))
  }
  return 0
}
