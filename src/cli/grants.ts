/** `mindglue grants`: let another namespace read, see what is given and held, end it. */
import type { OperatorCommands } from '../daemon/operate.ts'
import { AppError } from '../errors.ts'
import { cleanLine } from '../pipeline/clean.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'

type CreateInput = OperatorCommands['grantCreate']['input']
type Listed = OperatorCommands['grantList']['output']['grants'][number]

const dayMs = 86_400_000
const pageMax = 500
const listedMax = 100_000

export interface GrantsOptions extends OperatorOptions {
  readonly isJson: boolean
}

/** As typed. */
export interface GrantTerms {
  readonly type?: readonly string[]
  readonly tag?: string
  readonly entity?: string
  readonly includeShared?: true
  readonly penalty?: string
  readonly expiresDays?: string
  readonly expiresAt?: string
}

export interface GrantCreateOptions extends GrantsOptions {
  readonly to: string
  readonly terms: GrantTerms
}

/** Exit code 0. Throws AppError `not_found` for a namespace that is not there. */
export async function runGrantCreate(options: GrantCreateOptions): Promise<number> {
  const { to, terms } = options
  const expiresAt = endOf(terms)
  const input: CreateInput = {
    to,
    // The operation knows the types and says which one is wrong.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked there, by its schema
    ...(terms.type && { types: [...terms.type] as CreateInput['types'] }),
    ...(terms.tag !== undefined && { tag: terms.tag }),
    ...(terms.entity !== undefined && { entity: terms.entity }),
    ...(terms.includeShared && { include_shared: true }),
    ...(terms.penalty !== undefined && { penalty: number('--penalty', terms.penalty) }),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
  }
  const grant = await withOperator(options, (operator) => operator.run('grantCreate', input))
  if (options.isJson) printJson(grant)
  else {
    const style = styleFor(process.stdout)
    const until = grant.expires_at === null ? 'until it is revoked' : `until ${grant.expires_at}`
    print(`${cleanLine(to)} may read ${options.config.namespaceName} ${until}.`)
    print(
      style.dim(`Its agents ask for it with include_granted. mindglue grants revoke ${grant.id}`),
    )
  }
  return 0
}

export async function runGrantList(options: GrantsOptions): Promise<number> {
  const grants = await withOperator(options, async (operator) => {
    const all: Listed[] = []
    while (all.length < listedMax) {
      const last = all.at(-1)
      const page = await operator.run('grantList', {
        limit: pageMax,
        ...(last !== undefined && { before_id: last.id }),
      })
      all.push(...page.grants)
      if (page.grants.length < pageMax) break
    }
    return all
  })
  if (options.isJson) printJson(grants)
  else printGrants(grants, options.config.namespaceName)
  return 0
}

export async function runGrantRevoke(
  options: GrantsOptions & { readonly id: string },
): Promise<number> {
  const { id } = options
  const revoked = await withOperator(options, (operator) => operator.run('grantRevoke', { id }))
  if (options.isJson) printJson(revoked)
  else print(`Revoked ${revoked.id} at ${shortTime(revoked.revoked_at)} UTC.`)
  return 0
}

function printGrants(grants: readonly Listed[], namespaceName: string): void {
  if (grants.length === 0) return print(`Namespace ${namespaceName} gives and holds no grant.`)
  const style = styleFor(process.stdout)
  const rows = grants.map((grant) => [
    grant.id,
    grant.state,
    cleanLine(grant.from),
    cleanLine(grant.to),
    shownBy(grant),
    grant.expires_at === null ? 'never' : shortTime(grant.expires_at),
  ])
  const header = ['id', 'state', 'from', 'to', 'shows', 'ends (UTC)']
  const [head = '', ...lines] = columns([header, ...rows]).split('\n')
  print(style.dim(head))
  for (const [index, line] of lines.entries()) {
    print(grants[index]?.state === 'active' ? line : style.dim(line))
  }
  return undefined
}

/** `public facts; tag wiki; penalty 0.15`. */
function shownBy(grant: Listed): string {
  const { types, tag, entity } = grant
  return [
    grant.include_shared ? 'public and shared' : 'public',
    ...(types === null ? [] : [types.join(' ')]),
    ...(tag === undefined ? [] : [`tag ${cleanLine(tag)}`]),
    ...(entity === undefined ? [] : [`entity ${cleanLine(entity)}`]),
    `penalty ${grant.penalty}`,
  ].join('; ')
}

function endOf({ expiresDays: days, expiresAt: at }: GrantTerms): string | undefined {
  if (days === undefined) return at
  if (at !== undefined) {
    throw new AppError('invalid_input', 'Give --expires-days or --expires-at, not both.')
  }
  if (!/^\d{1,5}$/u.test(days)) {
    throw new AppError('invalid_input', '--expires-days takes a whole number.')
  }
  return new Date(Date.now() + Number(days) * dayMs).toISOString()
}

function number(option: string, text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value)) return value
  throw new AppError('invalid_input', `${option} takes a number.`)
}

function shortTime(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}
