/** The operations `grant.create`, `grant.list` and `grant.revoke`, for administrators of a namespace. */
import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { isStorableInstant } from '../database/codec.ts'
import { AppError } from '../errors.ts'
import {
  countGiven,
  insertGrant,
  listGrants,
  revokeGrant,
  type GrantRow,
} from '../namespaces/grants.sql.ts'
import type { NamespaceSettings, Operation, PrepareContext } from '../operation.ts'
import { markTerm, openMark, sealMark, type GrantMark } from './grant-mark.ts'
import { label, memoryTypes } from './memory.ts'

/** Part of the score scale, which is 0 to 1. */
const defaultPenalty = 0.15
/** In force, of one namespace. */
const grantsMax = 1_000
const pageMax = 500
/** The name must not tell which namespaces exist: as long as any, and no further rule. */
const namespaceName = z.string().min(1).max(128)

const createInput = z
  .strictObject({
    to: namespaceName.describe('Namespace that may read; whether there is one, nobody is told'),
    types: z
      .array(z.enum(memoryTypes))
      .min(1)
      .max(memoryTypes.length)
      .optional()
      .describe('Only memories of these types; left out, of all'),
    tag: label('a tag').optional().describe('Only memories with this tag'),
    entity: label('entity').optional().describe('Only memories that mention this name'),
    include_shared: z
      .boolean()
      .optional()
      .describe('Also memories that are shared within this namespace; private ones never'),
    expires_at: z.iso
      .datetime({ offset: true })
      .refine((text) => isStorableInstant(new Date(text)), 'not of the years 1 to 9999')
      .optional()
      .describe('When it ends by itself'),
    penalty: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe('Taken off the score of what is found through it (0.15)'),
  })
  .superRefine((input, context) => {
    if (input.tag === undefined || input.entity === undefined) return
    context.addIssue({
      code: 'custom',
      path: ['tag'],
      message: 'give a tag or an entity, not both',
    })
  })

const created = z.object({
  id: z.uuid(),
  to: z.string(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
})

/** Undefined surrogate: no namespace has the name. */
interface PreparedGrant {
  readonly id: string
  readonly grantee: bigint | undefined
}

export function grantCreateOperation(): Operation<
  typeof createInput,
  typeof created,
  PreparedGrant
> {
  return {
    name: 'grant.create',
    title: 'Grant reading to a namespace',
    description:
      'Lets another namespace read public memories of this one, until it expires or is revoked.',
    scope: 'admin',
    effect: 'write',
    input: createInput,
    output: created,
    isIdempotent: () => false,
    prepare: async (context, input) => ({
      id: uuidv7(),
      grantee: await granteeOf(context, input.to),
    }),
    commit: async ({ tx, settings, now }, { id, grantee }, input) => {
      const expiresAt = input.expires_at === undefined ? null : new Date(input.expires_at)
      if (expiresAt !== null && expiresAt <= now) {
        throw new AppError('invalid_input', 'expires_at has passed; give a time to come.')
      }
      if ((await countGiven(tx)) >= grantsMax) {
        const message = `This namespace has ${grantsMax} grants in force; revoke those that nobody needs.`
        throw new AppError('conflict', message)
      }
      const mark = markOf(input)
      await insertGrant(tx, {
        id,
        // A number that no namespace has: the row and the answer look like any other.
        grantee: grantee ?? randomBytes(8).readBigUInt64BE() >> 1n,
        namespaceName: settings.name,
        granteeName: input.to,
        types: input.types
          ? memoryTypes.filter((type) => input.types?.includes(type)).join(' ')
          : null,
        includesShared: input.include_shared ?? false,
        mark: mark ? markTerm(settings, mark) : null,
        markLabel: mark ? sealMark(settings, id, mark) : null,
        penalty: input.penalty ?? defaultPenalty,
        createdAt: now,
        expiresAt,
      })
      const output = {
        id,
        to: input.to,
        created_at: now.toISOString(),
        expires_at: expiresAt?.toISOString() ?? null,
      }
      return { output, audit: { resourceIds: [id] } }
    },
  }
}

/**
 * Throws `invalid_input` for the namespace itself. A name that nobody has is answered as any other, so that
 * an administrator of one namespace learns of no other; the operator, who may list them all, is told.
 */
async function granteeOf(context: PrepareContext, name: string): Promise<bigint | undefined> {
  const { principal } = context
  const found = await context.findNamespace(name)
  if (found === principal.namespace) {
    throw new AppError('invalid_input', 'A namespace reads its own memories without a grant.')
  }
  if (found === undefined && principal.channel === 'cli') {
    throw new AppError('not_found', 'There is no namespace of this name.')
  }
  return found
}

function markOf({ tag, entity }: z.output<typeof createInput>): GrantMark | undefined {
  if (tag !== undefined) return { tag }
  return entity === undefined ? undefined : { entity }
}

const described = z.object({
  id: z.uuid(),
  direction: z.enum(['given', 'held']).describe('By this namespace, or to it'),
  from: z.string(),
  to: z.string(),
  types: z.array(z.enum(memoryTypes)).nullable(),
  tag: z.string().optional().describe('Told to the giver alone'),
  entity: z.string().optional().describe('Told to the giver alone'),
  include_shared: z.boolean(),
  penalty: z.number(),
  state: z.enum(['active', 'expired', 'revoked']),
  created_at: z.string(),
  created_by: z.string().optional().describe('Told to the giver alone'),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
})
export type GrantDescription = z.output<typeof described>

const listInput = z.strictObject({
  before_id: z
    .uuid()
    .optional()
    .describe('Grants older than this one: the last id of the page before'),
  limit: z.int().min(1).max(pageMax).optional(),
})
const listOutput = z.object({ grants: z.array(described) })

export function grantListOperation(): Operation<typeof listInput, typeof listOutput, undefined> {
  return {
    name: 'grant.list',
    title: 'List grants',
    description:
      'Lists grants that this namespace gives or holds, newest first, those that have ended as well.',
    scope: 'admin',
    effect: 'read',
    input: listInput,
    output: listOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, settings, now }, _prepared, input) => {
      const rows = await listGrants(tx, input.before_id, input.limit ?? 100)
      const grants = rows.map((row) => describeGrant(settings, row, now))
      return { output: { grants }, audit: { counts: { grants: grants.length } } }
    },
  }
}

function describeGrant(settings: NamespaceSettings, row: GrantRow, now: Date): GrantDescription {
  const isGiven = row.namespace === settings.namespace
  const mark = isGiven && row.mark_label ? openMark(settings, row.id, row.mark_label) : {}
  return {
    id: row.id,
    direction: isGiven ? 'given' : 'held',
    from: row.namespace_name,
    to: row.grantee_name,
    types: row.types === null ? null : z.array(z.enum(memoryTypes)).parse(row.types.split(' ')),
    ...mark,
    include_shared: row.includes_shared,
    penalty: Math.round(row.penalty * 10_000) / 10_000,
    state: stateOf(row, now),
    created_at: row.created_at.toISOString(),
    ...(isGiven && { created_by: row.created_by }),
    expires_at: row.expires_at?.toISOString() ?? null,
    revoked_at: row.revoked_at?.toISOString() ?? null,
  }
}

function stateOf({ revoked_at, expires_at }: GrantRow, now: Date): GrantDescription['state'] {
  if (revoked_at !== null) return 'revoked'
  return expires_at !== null && expires_at <= now ? 'expired' : 'active'
}

const revokeInput = z.strictObject({ id: z.uuid().describe('Id of the grant, as listed') })
const revokeOutput = z.object({ id: z.uuid(), revoked_at: z.string() })

export function grantRevokeOperation(): Operation<
  typeof revokeInput,
  typeof revokeOutput,
  undefined
> {
  return {
    name: 'grant.revoke',
    title: 'Revoke a grant',
    description:
      'Ends a grant for good, from the next statement on: one that was given, or one that is held.',
    scope: 'admin',
    effect: 'delete',
    input: revokeInput,
    output: revokeOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _prepared, { id }) => {
      const revokedAt = await revokeGrant(tx, id)
      if (revokedAt === undefined) {
        throw new AppError('not_found', 'There is no such grant in this namespace.')
      }
      return {
        output: { id, revoked_at: revokedAt.toISOString() },
        audit: { resourceIds: [id] },
      }
    },
  }
}
