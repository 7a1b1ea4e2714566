/** `mindglue reembed`: vectors of the configured embedder for every memory of the namespace. */
import { withOperator, type OperatorOptions } from './operator.ts'
import { print } from './output.ts'
import { startProgress } from './progress.ts'

/** Exit code 0 when every memory has its vector; run again after an interruption. */
export async function runReembed(options: OperatorOptions): Promise<number> {
  const progress = startProgress('Embedding', 'memories')
  try {
    const { vectors } = await withOperator(options, (operator) =>
      operator.run('reembed', {}, (done, total) => progress.update(done, total ?? done)),
    )
    progress.stop()
    print(`Embedded ${vectors.toLocaleString('en')} memories of ${options.config.namespaceName}.`)
    return 0
  } finally {
    progress.stop()
  }
}
