/** `mindglue backup`: a copy of the embedded database while it is in use. */
import { readdir, realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { AppError } from '../errors.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { print, styleFor } from './output.ts'

export interface BackupOptions extends OperatorOptions {
  /** Missing or empty; becomes a data directory of its own. */
  readonly directory: string
}

/**
 * Exit code 0 when the copy is complete and on disk. Throws AppError: `conflict` for a directory
 * that is not empty, `invalid_input` for one inside the data directory, `unsupported` on PostgreSQL.
 */
export async function runBackup(options: BackupOptions): Promise<number> {
  const directory = resolve(options.directory)
  const { config } = options
  if (config.databaseUrl !== undefined) {
    throw new AppError(
      'unsupported',
      'The memories are in PostgreSQL, whose own tool copies them while they are in use:\n' +
        '  pg_dump --format=custom --file=mindglue.dump "$MIGRATION_DATABASE_URL"',
    )
  }
  await refuseUnsuitable(directory, config.dataDirectory)
  await withOperator(options, async (operator) => {
    await operator.run('backup', { directory })
  })
  const style = styleFor(process.stdout)
  print(`Copied the database to ${style.bold(directory)}.`)
  print(`Use it:  mindglue --data-dir ${directory}`)
  print(
    style.dim(
      config.installationSecret === undefined
        ? `The copy holds no key: it opens with the secret in ${config.keyDirectory}; keep that apart.`
        : 'The copy holds no key: it opens with the same MINDGLUE_SECRET; keep that apart.',
    ),
  )
  return 0
}

async function refuseUnsuitable(directory: string, dataDirectory: string): Promise<void> {
  const data = await realpath(dataDirectory).catch(() => resolve(dataDirectory))
  if (directory === data || directory.startsWith(data + sep)) {
    throw new AppError('invalid_input', 'A backup inside the data directory would be lost with it.')
  }
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new AppError('invalid_input', `${directory} cannot be read (${error.code ?? ''}).`, {
      cause: error,
    })
  })
  if (names.length > 0) {
    throw new AppError('conflict', `${directory} is not empty. Name another directory.`)
  }
}
