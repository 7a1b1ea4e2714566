/** `mindglue scan`: applies the policy of the namespace to what it holds already. */
import { withOperator, type OperatorOptions } from './operator.ts'
import { print, printJson } from './output.ts'
import { startProgress } from './progress.ts'

export interface ScanOptions extends OperatorOptions {
  readonly isDryRun: boolean
  readonly isJson: boolean
}

/** Exit code 0; 1 when old rows may still be in the files of the database. */
export async function runScan(options: ScanOptions): Promise<number> {
  const { isDryRun } = options
  const progress = startProgress('Scanning', 'memories')
  const done = await withOperator(options, (operator) =>
    operator.run('scan', { dry_run: isDryRun }, (versions, total) =>
      progress.update(versions, total ?? versions),
    ),
  ).finally(() => progress.stop())
  if (options.isJson) printJson(done)
  else {
    const figure = (value: number): string => value.toLocaleString('en')
    const verb = isDryRun ? 'would be changed' : 'changed'
    print(`Looked at ${figure(done.versions)} memory versions; ${figure(done.changed)} ${verb}.`)
    for (const [what, count] of Object.entries(done.found)) {
      print(`  ${figure(count)} ${what.split(':').toReversed().join(' ')}`)
    }
  }
  if (done.rewritten) return 0
  process.stderr.write(
    'The files of PostgreSQL hold the rows of before, unless they were cleared since. As an administrator, run:\n' +
      '  vacuum (full, analyze) mindglue.memories, mindglue.entities, mindglue.embeddings,\n' +
      '    mindglue.partitioned_embeddings, mindglue.sealed_embeddings;\n' +
      'or run this command again with MIGRATION_DATABASE_URL set.\n',
  )
  return 1
}
