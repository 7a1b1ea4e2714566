/** `mindglue policy`: what the namespace does with credentials and personal data in what it is given. */
import type { DoorPolicy } from '../operation.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'

export interface PolicyOptions extends OperatorOptions {
  /** What to change; empty: only say. */
  readonly change: Partial<DoorPolicy>
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
  const { change } = options
  const { namespaceName: name } = options.config
  const isChange = Object.keys(change).length > 0
  const { policy } = await withOperator(options, (operator) =>
    isChange
      ? operator.run('namespaceSet', { name, policy: change })
      : operator.run('namespaceRead', { name }),
  )
  if (options.isJson) {
    printJson(policy)
    return 0
  }
  const style = styleFor(process.stdout)
  print(`Namespace ${name}`)
  print(
    columns([
      ['credentials', style.bold(policy.credentials), meaning[policy.credentials]],
      ['personal data', style.bold(policy.personal), meaning[policy.personal]],
    ]),
  )
  if (isChange) {
    print(style.dim('What is stored already stays as it is; `mindglue scan` applies this to it.'))
  }
  return 0
}
