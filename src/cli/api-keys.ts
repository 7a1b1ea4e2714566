/** `mindglue api-keys`: issue, list, rotate and revoke the keys of HTTP clients. */
import { createInterface } from 'node:readline'
import type { OperatorCommands } from '../daemon/operate.ts'
import { AppError } from '../errors.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'

export interface ApiKeysOptions extends OperatorOptions {
  readonly isJson: boolean
}

export interface IssueOptions extends ApiKeysOptions {
  /** Agent that the key acts as. */
  readonly forAgent: string
  readonly label: string | undefined
  readonly scopes: readonly string[] | undefined
  readonly tools: readonly string[] | undefined
  /** As typed. */
  readonly requestsPerMinute: string | undefined
  readonly expiresDays: string | undefined
}

type IssueInput = OperatorCommands['keyIssue']['input']
type ListedKey = OperatorCommands['keyList']['output']['keys'][number]

const dayMs = 86_400_000
const pageMax = 500
/** More keys than a namespace can have in force, with those of the past. */
const keysMax = 100_000

/** Prints the key once, on stdout; exit code 0. */
export async function runIssue(options: IssueOptions): Promise<number> {
  const days = wholeNumber('--expires-days', options.expiresDays)
  const perMinute = wholeNumber('--requests-per-minute', options.requestsPerMinute)
  const input = {
    agent: options.forAgent,
    ...(options.label !== undefined && { label: options.label }),
    // The operation knows the scopes and says which one is wrong.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked there, by its schema
    ...(options.scopes !== undefined && { scopes: options.scopes as IssueInput['scopes'] }),
    ...(options.tools !== undefined && { tools: [...options.tools] }),
    ...(perMinute !== undefined && { requests_per_minute: perMinute }),
    ...(days !== undefined && { expires_at: new Date(Date.now() + days * dayMs).toISOString() }),
  }
  const issued = await withOperator(
    options,
    async (operator) => await operator.run('keyIssue', input),
  )
  if (options.isJson) printJson(issued)
  else {
    printSecret(issued.key)
    print(`Acts as ${issued.agent} in namespace ${options.config.namespaceName}`)
    print(`Scopes   ${issued.scopes.join(' ')}`)
    print(`Expires  ${issued.expires_at === null ? 'never' : shortTime(issued.expires_at)}`)
    print(`Id       ${issued.id}`)
  }
  return 0
}

export async function runList(options: ApiKeysOptions): Promise<number> {
  const keys = await withOperator(options, async (operator) => {
    const all: ListedKey[] = []
    while (all.length < keysMax) {
      const last = all.at(-1)
      const page = await operator.run('keyList', {
        limit: pageMax,
        ...(last !== undefined && { before_id: last.id }),
      })
      all.push(...page.keys)
      if (page.keys.length < pageMax) break
    }
    return all
  })
  if (options.isJson) printJson(keys)
  else printTable(keys, options.config.namespaceName)
  return 0
}

export interface RotateOptions extends ApiKeysOptions {
  readonly id: string
  /** Hours, as typed. */
  readonly grace: string | undefined
}

export async function runRotate(options: RotateOptions): Promise<number> {
  const hours = wholeNumber('--grace', options.grace)
  const input = { id: options.id, ...(hours !== undefined && { grace_seconds: hours * 3600 }) }
  const rotated = await withOperator(
    options,
    async (operator) => await operator.run('keyRotate', input),
  )
  if (options.isJson) printJson(rotated)
  else {
    printSecret(rotated.key)
    const until = rotated.previous_valid_until
    print(
      until === null
        ? 'The secret of before is no longer valid.'
        : `The secret of before stays valid until ${shortTime(until)} UTC.`,
    )
  }
  return 0
}

export interface RevokeOptions extends ApiKeysOptions {
  /** `-` reads it from stdin: whoever found a whole key need not show it to the list of processes. */
  readonly id: string
}

export async function runRevoke(options: RevokeOptions): Promise<number> {
  const id = options.id === '-' ? await firstLine() : options.id
  const revoked = await withOperator(
    options,
    async (operator) => await operator.run('keyRevoke', { id }),
  )
  if (options.isJson) printJson(revoked)
  else print(`Revoked ${revoked.id} at ${shortTime(revoked.revoked_at)} UTC.`)
  return 0
}

function printSecret(key: string): void {
  const style = styleFor(process.stdout)
  print(style.bold(key))
  print(style.yellow('Keep it now: it is shown once and stored nowhere.'))
  print()
}

function printTable(keys: readonly ListedKey[], namespaceName: string): void {
  if (keys.length === 0) return print(`Namespace ${namespaceName} has no API key.`)
  const style = styleFor(process.stdout)
  const header = ['id', 'state', 'agent', 'label', 'last used (UTC)', 'expires (UTC)', 'scopes']
  const rows = keys.map((key) => [
    key.id,
    key.state,
    key.agent,
    key.label,
    key.last_used_at === null ? 'never' : shortTime(key.last_used_at),
    key.expires_at === null ? 'never' : shortTime(key.expires_at),
    `${key.scopes.join(' ')}${narrowedBy(key)}`,
  ])
  const [head = '', ...lines] = columns([header, ...rows]).split('\n')
  print(style.dim(head))
  for (const [index, line] of lines.entries()) {
    const state = keys[index]?.state
    print(state === 'revoked' || state === 'expired' ? style.dim(line) : line)
  }
  return undefined
}

/** `; 30 a minute; tools recall store`. */
function narrowedBy(key: ListedKey): string {
  const parts = [
    ...(key.requests_per_minute === null ? [] : [`${key.requests_per_minute} a minute`]),
    ...(key.tools === null ? [] : [`tools ${key.tools.join(' ')}`]),
  ]
  return parts.map((part) => `; ${part}`).join('')
}

function shortTime(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}

/** Throws AppError `invalid_input`; whether the number is in bounds, the operation says. */
function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/u.test(text)) {
    throw new AppError('invalid_input', `${option} takes a whole number.`)
  }
  return Number(text)
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin })
  for await (const line of lines) return line.trim()
  throw new AppError('invalid_input', 'Nothing came from stdin; give the id or the key there.')
}
