/** `mindglue audit`: who did what in the namespace, newest first. */
import type { OperatorCommands } from '../daemon/operate.ts'
import { AppError } from '../errors.ts'
import { withOperator, type Operator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor, type Style } from './output.ts'

export interface AuditOptions extends OperatorOptions {
  readonly action: string | undefined
  /** Whose events, as opposed to `config.agent`, who reads them. */
  readonly by: string | undefined
  /** As typed. */
  readonly limit: string
  readonly isJson: boolean
}

type AuditEvent = OperatorCommands['auditQuery']['output']['events'][number]

const pageMax = 500
const eventsMax = 100_000

/** Exit code 0. Throws AppError `invalid_input` for a limit that is no number from 1 to 100,000. */
export async function runAudit(options: AuditOptions): Promise<number> {
  const limit = Number(options.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > eventsMax) {
    throw new AppError('invalid_input', '--limit takes a whole number from 1 to 100000.')
  }
  const events = await withOperator(options, async (operator) => read(operator, options, limit))
  if (options.isJson) printJson(events)
  else printTable(events, options.config.namespaceName)
  return 0
}

async function read(
  operator: Operator,
  { action, by }: AuditOptions,
  limit: number,
): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = []
  while (events.length < limit) {
    const wanted = Math.min(pageMax, limit - events.length)
    const last = events.at(-1)
    const page = await operator.run('auditQuery', {
      limit: wanted,
      ...(action !== undefined && { action }),
      ...(by !== undefined && { agent: by }),
      ...(last !== undefined && { before_id: last.id }),
    })
    events.push(...page.events)
    if (page.events.length < wanted) break
  }
  return events
}

function printTable(events: readonly AuditEvent[], namespaceName: string): void {
  if (events.length === 0) return print(`No such event in namespace ${namespaceName}.`)
  const style = styleFor(process.stdout)
  const header = ['time (UTC)', 'agent', 'channel', 'action', 'outcome', 'what', 'request']
  const rows = events.map((event) => [
    event.occurred_at.slice(0, 19).replace('T', ' '),
    event.agent,
    event.channel,
    event.action,
    event.outcome,
    whatOf(event),
    event.request_id,
  ])
  const [head = '', ...lines] = columns([header, ...rows]).split('\n')
  print(style.dim(head))
  for (const [index, line] of lines.entries()) print(paint(style, events[index], line))
}

function paint(style: Style, event: AuditEvent | undefined, line: string): string {
  return event === undefined || event.outcome === 'ok' ? line : style.red(line)
}

/** `memories 3, versions 4`; the number of ids where nothing was counted. */
function whatOf({ counts, resource_count: ids }: AuditEvent): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  if (parts.length === 0) return ids === 0 ? '' : `ids ${ids}`
  return parts.join(', ')
}
