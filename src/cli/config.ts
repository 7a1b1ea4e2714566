/** `mindglue config`: the effective settings, where each came from, secrets masked. */
import { configurationReference } from '../config/reference.ts'
import { reportSettings, type Config } from '../config.ts'
import { columns, print, printJson, styleFor } from './output.ts'

export interface ConfigOptions {
  readonly config: Config
  readonly isJson: boolean
  /** Print the reference page of all settings instead of the effective values. */
  readonly isReference: boolean
}

/** Prints to stdout. Holds no secret: the output may be pasted into an issue. */
export function runConfig(options: ConfigOptions): number {
  if (options.isReference) {
    process.stdout.write(configurationReference())
    return 0
  }
  const report = reportSettings(options.config)
  if (options.isJson) {
    printJson(
      Object.fromEntries(report.map(({ name, value, source }) => [name, { value, source }])),
    )
    return 0
  }
  const style = styleFor(process.stdout)
  const rows = report.map(({ name, value, source }) => [name, value, source])
  const lines = columns(rows).split('\n')
  let group = ''
  for (const [index, row] of report.entries()) {
    if (row.group !== group) {
      print(`${group === '' ? '' : '\n'}${style.bold(row.group)}`)
      group = row.group
    }
    const line = `  ${lines[index] ?? ''}`
    print(row.source === 'default' ? style.dim(line) : line)
  }
  print(`\n${style.dim('What each one does: mindglue config --reference')}`)
  return 0
}
