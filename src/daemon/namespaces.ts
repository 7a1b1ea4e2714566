/** Every namespace for the operator: made, listed, shown, put on another plan, deleted with keys and rows. */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { recordEvent } from '../audit/events.ts'
import { AppError } from '../errors.ts'
import type { UpkeepOptions } from '../jobs/rewrap.ts'
import { jobPrincipal, noNamespace } from '../jobs/job-principal.ts'
import { insertConfirmation, redeemConfirmation } from '../memory/confirmations.sql.ts'
import { namespacesAfter } from '../namespaces/namespace-keys.sql.ts'
import { describeNamespace } from '../namespaces/namespaces.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { analyzerVersion } from '../pipeline/terms.ts'
import type { Principal } from '../principal.ts'
import { planOf, type PlanHost, type PlanReport } from './plan.ts'

export interface NamespacesHost extends PlanHost {
  readonly namespaces: Pick<Namespaces, 'settings' | 'create' | 'find'>
  /** Deletes the namespace with its keys, for good; returns how many rows went. */
  removeNamespace(namespace: bigint, options: UpkeepOptions): Promise<number>
}

export interface NamespaceReport {
  readonly name: string
  readonly encryption: 'off' | 'field' | 'sealed'
  readonly plan: string
  readonly embedder: string
  /** False: `reindex` would let its older memories be found by more words. */
  readonly is_index_current: boolean
  readonly created_at: string
  readonly memories: number
  readonly bytes: number
  /** In force. */
  readonly grants: { readonly given: number; readonly held: number }
}

/** Name → input and output. */
export interface NamespaceCommands {
  readonly 'namespaces.create': {
    readonly input: {
      readonly name: string
      readonly encryption?: 'off' | 'field' | 'sealed'
      readonly plan?: string
    }
    readonly output: NamespaceReport
  }
  readonly 'namespaces.list': {
    readonly input: object
    readonly output: { readonly namespaces: readonly NamespaceReport[] }
  }
  readonly 'namespaces.show': {
    readonly input: { readonly name: string }
    readonly output: NamespaceReport
  }
  readonly 'namespaces.set': {
    readonly input: { readonly name: string; readonly plan: string }
    readonly output: PlanReport
  }
  /** Without a token it only asks; the token deletes the namespace that was shown. */
  readonly 'namespaces.delete': {
    readonly input: { readonly name: string; readonly confirm_token?: string }
    readonly output: NamespaceReport & { readonly confirm_token?: string; readonly rows?: number }
  }
}

interface Call {
  readonly host: NamespacesHost
  readonly principal: Principal
  readonly input: unknown
  readonly work: UpkeepOptions
}

const confirmationLifeMs = 600_000
const pageNamespaces = 500

/** As MINDGLUE_NAMESPACE has it. */
const name = z
  .string()
  .max(63)
  .regex(/^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/u, {
    error:
      'a name has lower-case letters, digits, dots, dashes and underscores, with a letter or digit at both ends',
  })
const existingName = z.string().min(1).max(128)
const createInput = z.strictObject({
  name,
  encryption: z.enum(['off', 'field', 'sealed']).optional(),
  plan: z.string().max(32).optional(),
})
const nameInput = z.strictObject({ name: existingName })
const setInput = z.strictObject({ name: existingName, plan: z.string().max(32) })
const deleteInput = z.strictObject({
  name: existingName,
  confirm_token: z.string().max(128).optional(),
})

export const namespaceCommands: {
  readonly [Name in keyof NamespaceCommands]: (
    call: Call,
  ) => Promise<NamespaceCommands[Name]['output']>
} = {
  'namespaces.create': async ({ host, principal, input }) => {
    const wanted = parse(createInput, input)
    if (wanted.plan !== undefined) requirePlan(host, wanted.plan)
    const namespace = await host.namespaces.create(wanted.name, wanted.encryption)
    const operator = { ...principal, namespace, namespaceName: wanted.name }
    await host.scope.withNamespace(operator, {}, (tx) =>
      recordEvent(tx, operator, 'namespace.create', 'ok', {}),
    )
    if (wanted.plan !== undefined) await planOf(host, operator, { plan: wanted.plan })
    return await reportOf(host, namespace)
  },
  'namespaces.list': async ({ host, work }) => {
    const namespaces: NamespaceReport[] = []
    for (let after = -1n; ;) {
      work.signal.throwIfAborted()
      const page = await host.scope.withJob(jobPrincipal(noNamespace), { readOnly: true }, (tx) =>
        namespacesAfter(tx, after, pageNamespaces),
      )
      for (const namespace of page) namespaces.push(await reportOf(host, namespace))
      after = page.at(-1) ?? after
      if (page.length < pageNamespaces) break
    }
    return { namespaces: namespaces.toSorted((a, b) => (a.name < b.name ? -1 : 1)) }
  },
  'namespaces.show': async ({ host, input }) =>
    await reportOf(host, await existing(host, parse(nameInput, input).name)),
  'namespaces.set': async ({ host, principal, input }) => {
    const { name: wanted, plan } = parse(setInput, input)
    const namespace = await existing(host, wanted)
    return await planOf(host, { ...principal, namespace, namespaceName: wanted }, { plan })
  },
  'namespaces.delete': async ({ host, principal, input, work }) => {
    const { name: wanted, confirm_token: token } = parse(deleteInput, input)
    const namespace = await existing(host, wanted)
    if (namespace === principal.namespace) {
      throw new AppError(
        'conflict',
        'This is the namespace that the command works in, where its own event is kept; name another one with --namespace.',
      )
    }
    const report = await reportOf(host, namespace)
    if (token === undefined)
      return { ...report, confirm_token: await ask(host, principal, namespace) }
    await redeem(host, principal, namespace, token)
    const rows = await host.removeNamespace(namespace, work)
    return { ...report, rows }
  },
}

/** Keeps for ten minutes that this operator was shown this namespace. */
async function ask(
  { scope }: NamespacesHost,
  principal: Principal,
  namespace: bigint,
): Promise<string> {
  const token = randomBytes(24).toString('base64url')
  await scope.withNamespace(principal, {}, (tx) =>
    insertConfirmation(tx, {
      tokenHash: hashOf(token),
      operation: 'namespace.delete',
      requestHash: hashOf(`${namespace}`),
      resourceIds: Buffer.alloc(0),
      expiresAt: new Date(Date.now() + confirmationLifeMs),
    }),
  )
  return token
}

/** Spends the token; the event of the deletion goes in with it, since the namespace keeps none. */
async function redeem(
  { scope }: NamespacesHost,
  principal: Principal,
  namespace: bigint,
  token: string,
): Promise<void> {
  await scope.withNamespace(principal, {}, async (tx) => {
    const shown = await redeemConfirmation(tx, 'namespace.delete', hashOf(token))
    if (shown?.request_hash.equals(hashOf(`${namespace}`)) !== true) {
      throw new AppError(
        'not_found',
        'This confirm_token is unknown, used, expired or of another namespace. Ask again without it.',
      )
    }
    await recordEvent(tx, principal, 'namespace.delete', 'ok', {})
  })
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Throws `not_found`: whoever is here may list every name. */
async function existing({ namespaces }: NamespacesHost, wanted: string): Promise<bigint> {
  const namespace = await namespaces.find(wanted)
  if (namespace === undefined) throw new AppError('not_found', 'There is no such namespace.')
  return namespace
}

async function reportOf({ scope }: NamespacesHost, namespace: bigint): Promise<NamespaceReport> {
  const row = await scope.withJob(jobPrincipal(namespace), { readOnly: true }, describeNamespace)
  if (row === undefined) throw new AppError('not_found', 'There is no such namespace.')
  return {
    name: row.name,
    encryption: row.profile,
    plan: row.plan,
    embedder: row.embedder_model,
    is_index_current: row.analyzer_version >= analyzerVersion,
    created_at: row.created_at.toISOString(),
    memories: Number(row.memory_count),
    bytes: Number(row.byte_count),
    grants: { given: row.given, held: row.held },
  }
}

function requirePlan({ plans }: NamespacesHost, plan: string): void {
  if (plans.names.includes(plan)) return
  const names = plans.names.join(', ')
  throw new AppError('invalid_input', `There is no plan of this name; the plans are: ${names}.`)
}

function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new AppError('invalid_input', `${issue?.path.join('.')}: ${issue?.message}.`)
}
