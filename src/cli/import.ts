/** `mindglue import`: an export, or the reference knowledge-graph server's file, in whole batches. */
import { ZodError } from 'zod'
import { openFernet, parseFernetKey, type FernetKey } from '../crypto/fernet.ts'
import type { OperatorCommands } from '../daemon/operate.ts'
import { AppError } from '../errors.ts'
import { readLines, type FileLine, type OnBytes } from './file-lines.ts'
import { isKnowledgeGraph, memoriesOfRecord } from './knowledge-graph.ts'
import { withOperator, type Operator, type OperatorOptions } from './operator.ts'
import { startProgress } from './progress.ts'
import { readSecretText } from './secret-file.ts'

export interface ImportOptions extends OperatorOptions {
  /** `-` is stdin. */
  readonly file: string
  /** The administrator vouches that it is an export of this installation. */
  readonly isOwn: boolean
  /** File of the Fernet key that every line is a token under. */
  readonly fernetKeyFile?: string | undefined
}

/** Limits of one operation: memories, and bytes of JSON well below the longest line of the socket. */
const batchItemsMax = 500
const batchBytesMax = 2 * 1024 * 1024

/** What one batch did. */
interface Counts {
  readonly imported: number
  readonly skipped: number
  /** Credentials and personal data by what was done and kind: `redacted:github-token`. */
  readonly found?: Readonly<Record<string, number>> | undefined
}

/** Items of one transaction, with the number of the line that each came from. */
interface Batch {
  readonly items: readonly unknown[]
  readonly lines: readonly number[]
}

/** How one kind of file is read and stored. */
interface Format {
  readonly itemsOf: (line: unknown) => readonly unknown[]
  readonly send: (operator: Operator, items: readonly unknown[]) => Promise<Counts>
  /** Where the position of an item stands in the path of a refusal: `lines.17.content`. */
  readonly field: string
}

/**
 * Exit code 0 when every line is in. Throws AppError `invalid_input` that names the line: batches
 * before its own are stored, nothing of its own is, and repeating the import skips what is there.
 */
export async function runImport(options: ImportOptions): Promise<number> {
  const startedAt = performance.now()
  const lines = await lineSource(options)
  const progress = startProgress('Importing', 'bytes')
  const onBytes: OnBytes = (read, total) => progress.update(read, total)
  const counted = { imported: 0, skipped: 0, found: new Map<string, number>() }
  try {
    await withOperator(options, async (operator) => {
      for await (const counts of importFile(operator, lines(onBytes), options.isOwn)) {
        counted.imported += counts.imported
        counted.skipped += counts.skipped
        for (const [what, count] of Object.entries(counts.found ?? {})) {
          counted.found.set(what, (counted.found.get(what) ?? 0) + count)
        }
      }
    })
  } catch (error) {
    progress.stop()
    throw error instanceof AppError ? withStanding(error, counted) : error
  }
  progress.stop()
  process.stderr.write(`${summary(counted, performance.now() - startedAt)}\n`)
  for (const [what, count] of counted.found) process.stderr.write(`  ${count} ${spoken(what)}\n`)
  return 0
}

/** `redacted:github-token` as words: `github-token redacted`. */
function spoken(what: string): string {
  return what.split(':').toReversed().join(' ')
}

function summary({ imported, skipped }: Pick<Counts, 'imported' | 'skipped'>, ms: number): string {
  const count = (value: number): string => value.toLocaleString('en')
  const there = skipped === 0 ? '' : `, ${count(skipped)} were there already`
  const noun = imported === 1 ? 'memory' : 'memories'
  return `Imported ${count(imported)} ${noun}${there}, in ${(ms / 1000).toFixed(1)} s.`
}

function withStanding(
  error: AppError,
  { imported, skipped }: Pick<Counts, 'imported' | 'skipped'>,
): AppError {
  const done = imported + skipped
  const standing =
    done === 0
      ? 'Nothing was imported.'
      : `The ${done.toLocaleString('en')} memories before it are in; repeat the import, they are skipped.`
  const { code, publicMessage, details, retryAfterSeconds } = error
  return new AppError(code, `${publicMessage} ${standing}`, {
    cause: error,
    ...(details !== undefined && { details }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}

/** Reads the next batch while the one before is stored; yields what each batch did, in order. */
async function* importFile(
  operator: Operator,
  lines: AsyncIterable<FileLine>,
  isOwn: boolean,
): AsyncGenerator<Counts> {
  let format: Format | undefined
  let running: Promise<Counts> | undefined
  try {
    for await (const { batch, kind } of batches(lines, isOwn)) {
      format = kind
      if (running !== undefined) yield await running
      running = send(operator, format, batch)
      running.catch(() => undefined) // awaited with the next batch
    }
  } catch (error) {
    // A line that cannot be read does not undo the batch before it: that one is counted first.
    if (running !== undefined) yield await running
    throw error
  }
  if (running !== undefined) yield await running
}

async function* batches(
  source: AsyncIterable<FileLine>,
  isOwn: boolean,
): AsyncGenerator<{ batch: Batch; kind: Format }> {
  let kind: Format | undefined
  let items: unknown[] = []
  let lines: number[] = []
  let bytes = 0
  for await (const line of source) {
    const value = parseLine(line)
    kind ??= isKnowledgeGraph(value) ? knowledgeGraph : linesFormat(isOwn)
    const lineItems = itemsOf(kind, line, value)
    const perItem = Buffer.byteLength(line.text) / Math.max(1, lineItems.length)
    for (const item of lineItems) {
      if (items.length === batchItemsMax || (items.length > 0 && bytes + perItem > batchBytesMax)) {
        yield { batch: { items, lines }, kind }
        items = []
        lines = []
        bytes = 0
      }
      items.push(item)
      lines.push(line.number)
      bytes += perItem
    }
  }
  if (kind !== undefined && items.length > 0) yield { batch: { items, lines }, kind }
}

/** Lines of the file, opened where they are tokens. Throws AppError `invalid_input` for a bad key file. */
async function lineSource({ file, fernetKeyFile }: ImportOptions) {
  if (fernetKeyFile === undefined) return (onBytes: OnBytes) => readLines(file, onBytes)
  const key = parseFernetKey(await readSecretText(fernetKeyFile))
  return async function* (onBytes: OnBytes): AsyncGenerator<FileLine> {
    for await (const line of readLines(file, onBytes)) yield openLine(key, line)
  }
}

function openLine(key: FernetKey, { number, text }: FileLine): FileLine {
  try {
    return { number, text: openFernet(key, text).toString('utf8') }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `Line ${number}: ${error.publicMessage}`, { cause: error })
  }
}

function parseLine({ number, text }: FileLine): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid_input', `Line ${number} is not JSON; one object a line.`, { cause })
  }
}

function itemsOf(kind: Format, { number }: FileLine, value: unknown): readonly unknown[] {
  try {
    return kind.itemsOf(value)
  } catch (error) {
    if (!(error instanceof ZodError)) throw error
    const [issue] = error.issues
    const where = issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`
    throw new AppError('invalid_input', `Line ${number}: ${where}.`, { cause: error })
  }
}

async function send(operator: Operator, format: Format, batch: Batch): Promise<Counts> {
  try {
    return await format.send(operator, batch.items)
  } catch (error) {
    throw error instanceof AppError ? atLine(error, format, batch) : error
  }
}

/** Says in lines of the file what the operation said in positions of the batch. */
function atLine(error: AppError, { field }: Format, { lines }: Batch): AppError {
  const issue = firstIssue(error)
  const [, position, rest] = /^(\w+)\.(\d+)\.?(.*)$/u.exec(issue?.path ?? '')?.slice(1) ?? []
  const line = issue?.path.startsWith(`${field}.`) === true ? lines[Number(position)] : undefined
  if (issue === undefined || line === undefined) return error
  const where = rest === undefined || rest === '' ? '' : `${rest}: `
  return new AppError(error.code, `Line ${line}: ${where}${issue.message}.`, { cause: error })
}

function firstIssue({ details }: AppError): { path: string; message: string } | undefined {
  const issues: unknown = details?.['issues']
  const [first] = Array.isArray(issues) ? (issues as readonly unknown[]) : []
  if (typeof first !== 'object' || first === null) return undefined
  const { path, message } = Object.fromEntries(Object.entries(first))
  return { path: String(path), message: String(message) }
}

/** Lines of docs/export-format.md: checked by the operation, which owns their schema. */
const linesFormat = (isOwn: boolean): Format => ({
  itemsOf: (line) => [line],
  field: 'lines',
  send: async (operator, items) => {
    type Lines = NonNullable<OperatorCommands['import']['input']['lines']>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- untrusted here and validated there
    return await operator.run('import', { lines: items as Lines, own: isOwn })
  },
})

const knowledgeGraph: Format = {
  itemsOf: memoriesOfRecord,
  field: 'memories',
  send: async (operator, items) => {
    type Memories = NonNullable<OperatorCommands['import']['input']['memories']>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made by memoriesOfRecord
    const memories = items as Memories
    return await operator.run('import', { memories })
  },
}
