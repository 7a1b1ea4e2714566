/** `mindglue quarantine` and `mindglue rollback`: what an administrator decides about doubtful memories. */
import type { OperatorCommands } from '../daemon/operate.ts'
import { AppError } from '../errors.ts'
import { cleanLine } from '../pipeline/clean.ts'
import { agrees } from './agree.ts'
import { withOperator, type Operator, type OperatorOptions } from './operator.ts'
import { print, printJson, styleFor } from './output.ts'

type ListInput = OperatorCommands['quarantineList']['input']
type Held = OperatorCommands['quarantineList']['output']['memories'][number]

const pageMax = 500
const listedMax = 100_000
/** Characters of a memory in the list; the rest is in the JSON. */
const shownLengthMax = 300

export interface QuarantineListOptions extends OperatorOptions {
  readonly filter: Readonly<Record<string, string>>
  /** As typed. */
  readonly limit: string
  readonly isJson: boolean
}

/** Exit code 0. Throws AppError `invalid_input` for a limit that is no number from 1 to 100,000. */
export async function runQuarantineList(options: QuarantineListOptions): Promise<number> {
  const limit = Number(options.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > listedMax) {
    throw new AppError('invalid_input', '--limit takes a whole number from 1 to 100000.')
  }
  const { held, total } = await withOperator(options, async (operator) => {
    return await readHeld(operator, options.filter, limit)
  })
  if (options.isJson) printJson(held)
  else printHeld(held, total)
  return 0
}

async function readHeld(operator: Operator, filter: ListInput, limit: number) {
  const held: Held[] = []
  let total = 0
  let cursor: string | undefined
  do {
    const page = await operator.run('quarantineList', {
      ...filter,
      limit: Math.min(pageMax, limit - held.length),
      ...(cursor !== undefined && { cursor }),
    })
    held.push(...page.memories)
    total = page.total
    cursor = page.next_cursor
  } while (cursor !== undefined && held.length < limit)
  return { held, total }
}

/** What somebody wrote to a model may also be written to a terminal: it is cleaned before it is printed. */
function printHeld(held: readonly Held[], total: number): void {
  if (held.length === 0) return print('Nothing is quarantined.')
  const style = styleFor(process.stdout)
  for (const memory of held) {
    const { source, quarantine = [], owner_agent: owner, recorded_at: at } = memory
    const from = [
      `${source.kind}, trust ${source.trust}`,
      `stored by ${cleanLine(source.agent ?? owner)}`,
      ...(source.client === undefined ? [] : [`with ${cleanLine(source.client)}`]),
      at.slice(0, 16).replace('T', ' '),
    ]
    print(`${style.bold(memory.id)}  ${style.yellow(quarantine.join(' '))}`)
    print(style.dim(from.join(' · ')))
    const text = cleanLine(memory.content.slice(0, shownLengthMax * 2))
    print(text.length > shownLengthMax ? `${text.slice(0, shownLengthMax - 1)}…` : text)
    print()
  }
  const more = total > held.length ? `, ${held.length.toLocaleString('en')} shown` : ''
  print(style.dim(`${total.toLocaleString('en')} quarantined${more}.`))
  return undefined
}

export interface DecideOptions extends OperatorOptions {
  readonly decision: 'approve' | 'reject'
  readonly ids: readonly string[]
  readonly isChannelOnly: boolean
}

/** Exit code 0, or 1 when something that was named is not quarantined. */
export async function runDecide(options: DecideOptions): Promise<number> {
  const { decision, isChannelOnly } = options
  if (options.ids.length > 0 === isChannelOnly) {
    throw new AppError('invalid_input', `Say what to ${decision}: ids, or --channel-only.`)
  }
  let done = 0
  let duplicates = 0
  let missing = 0
  await withOperator(options, async (operator) => {
    const ids = isChannelOnly ? await channelOnlyIds(operator) : options.ids
    for (let start = 0; start < ids.length; start += pageMax) {
      const page = ids.slice(start, start + pageMax)
      if (decision === 'approve') {
        const output = await operator.run('quarantineApprove', { ids: [...page] })
        done += output.approved
        duplicates += output.duplicates
        missing += output.missing
      } else {
        const output = await operator.run('quarantineReject', { ids: [...page] })
        done += output.versions
        missing += output.missing
      }
    }
  })
  print(decision === 'approve' ? `Approved ${done}.` : `Forgotten for good: ${done}.`)
  if (duplicates > 0) print(`${duplicates} are there already in the same words; reject them.`)
  if (missing > 0) print(`${missing} are not quarantined here.`)
  return missing > 0 ? 1 : 0
}

async function channelOnlyIds(operator: Operator): Promise<string[]> {
  const { held } = await readHeld(operator, { reason: 'channel' }, listedMax)
  const innocent = held.filter(({ quarantine }) => quarantine?.length === 1)
  return [...new Set(innocent.map(({ id }) => id))]
}

export interface RollbackOptions extends OperatorOptions {
  readonly narrowing: Readonly<Record<string, string>>
  readonly isConfirmed: boolean
}

/** Exit code 0, or 1 when it was not confirmed: nothing is changed then. */
export async function runRollback(options: RollbackOptions): Promise<number> {
  return await withOperator(options, async (operator) => {
    const asked = await operator.run('rollback', options.narrowing)
    const { memories, versions, confirm_token: token } = asked
    if (token === undefined) {
      print('There is nothing to forget.')
      return 0
    }
    const size = `${counted(memories, 'memory', 'memories')} (${counted(versions, 'version', 'versions')})`
    if (!options.isConfirmed && !(await agrees(`Forget ${size} for good? [y/N] `))) {
      print(`Nothing was forgotten. It would be ${size}; --yes does it without asking.`)
      return 1
    }
    const done = await operator.run('rollback', { confirm_token: token })
    print(`Forgotten for good: ${counted(done.memories, 'memory', 'memories')}.`)
    return 0
  })
}

function counted(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}
