/** `mindglue reindex`: what this version finds memories by, for every memory of the namespace. */
import { withOperator, type OperatorOptions } from './operator.ts'
import { print } from './output.ts'
import { startProgress } from './progress.ts'

/** Exit code 0 when every version was gone over, 1 when some do not decrypt; run again after an interruption. */
export async function runReindex(options: OperatorOptions): Promise<number> {
  const progress = startProgress('Indexing', 'memories')
  const done = await withOperator(options, (operator) =>
    operator.run('reindex', {}, (versions, total) => progress.update(versions, total ?? versions)),
  ).finally(() => progress.stop())
  const figure = (value: number): string => value.toLocaleString('en')
  print(
    `Looked at ${figure(done.versions)} memory versions; ${figure(done.changed)} are found by more or other words.`,
  )
  if (done.unreadable === 0) return 0
  process.stderr.write(
    `${figure(done.unreadable)} memories do not decrypt and stay as they are; \`mindglue keys status\` says which keys are there.\n`,
  )
  return 1
}
