/** The operations `key.issue`, `key.list`, `key.rotate` and `key.revoke`, for administrators of a namespace. */
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { isStorableInstant } from '../database/codec.ts'
import { AppError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import { allScopes, jobAgent, type Scope } from '../principal.ts'
import { createApiKey, hashApiKey, idOfApiKey, publicPart } from './api-keys.ts'
import {
  countApiKeys,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
  type ListedApiKey,
} from './api-keys.sql.ts'

/** Keys in force that a namespace may have; a list of more is a sign of keys that nobody revokes. */
const keysMax = 1000
const toolsMax = 32
const daySeconds = 86_400
const graceSecondsMax = 7 * daySeconds
const requestsPerMinuteMax = 100_000

/** What a key may do unless its issuer says more: everything but taking all out, reading the log, ruling. */
export const defaultKeyScopes: readonly Scope[] = ['memory:read', 'memory:write', 'memory:forget']

// oxlint-disable-next-line no-control-regex -- control characters are exactly what is refused
const plainName = /^[^\s\u0000-\u001f\u007f](?:[^\u0000-\u001f\u007f]*[^\s\u0000-\u001f\u007f])?$/u
const scopeName = z.enum(allScopes)
/** The id in either of its spellings: as listed, or as it stands at the front of a key. */
const keyId = z
  .string()
  .max(128)
  .transform((text) => idOfApiKey(text) ?? text)
  .pipe(z.uuid('not the id of a key: give it as `key.list` shows it'))
  .describe('Id of the key, or the public part of the key itself (mgk_…)')

const described = z.object({
  id: z.uuid(),
  /** The part of the key that is no secret: what a person sees in a configuration file. */
  key_start: z.string(),
  agent: z.string(),
  label: z.string(),
  scopes: z.array(scopeName),
  tools: z.array(z.string()).nullable(),
  requests_per_minute: z.int().nullable(),
  state: z.enum(['active', 'rotating', 'expired', 'revoked']),
  created_at: z.string(),
  created_by: z.string(),
  rotated_at: z.string().nullable(),
  previous_valid_until: z.string().nullable(),
  expires_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
})
export type ApiKeyDescription = z.output<typeof described>

const issueInput = z.strictObject({
  agent: z
    .string()
    .max(128)
    .regex(plainName)
    .refine((name) => name !== jobAgent, `${jobAgent} is the name of the server's own jobs`)
    .describe('Agent that the key acts as'),
  label: z.string().max(128).optional().describe('For people: where the key is used'),
  scopes: z.array(scopeName).min(1).max(allScopes.length).optional(),
  tools: z
    .array(z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/u))
    .min(1)
    .max(toolsMax)
    .optional()
    .describe('The only tools that the key may see and call; left out, all of them'),
  requests_per_minute: z.int().min(1).max(requestsPerMinuteMax).optional(),
  expires_at: z.iso
    .datetime({ offset: true })
    .refine((text) => isStorableInstant(new Date(text)), 'not of the years 1 to 9999')
    .optional(),
})

const issueOutput = z.object({
  id: z.uuid(),
  /** The whole key: shown here and never again. */
  key: z.string(),
  agent: z.string(),
  scopes: z.array(scopeName),
  created_at: z.string(),
  expires_at: z.string().nullable(),
})

export interface KeyOperationDependencies {
  /** Key of the stored hashes; undefined: SHA-256. */
  readonly apiKeyPepper?: string | undefined
  /** The smallest limit of a key that can be kept: processes that share it without Redis. */
  readonly requestsPerMinuteLeast?: number | undefined
}

interface NewSecret {
  readonly id: string
  readonly key: string
  readonly hash: Buffer
}

function newSecret(id: string, pepper: string | undefined): NewSecret {
  const key = createApiKey(id)
  return { id, key, hash: hashApiKey(key, pepper) }
}

export function keyIssueOperation({
  apiKeyPepper,
  requestsPerMinuteLeast = 1,
}: KeyOperationDependencies): Operation<typeof issueInput, typeof issueOutput, NewSecret> {
  return {
    name: 'key.issue',
    title: 'Issue an API key',
    description:
      'Makes a key of this namespace that acts as an agent within the given scopes. Shown once.',
    scope: 'admin',
    effect: 'write',
    input: issueInput,
    output: issueOutput,
    isIdempotent: () => false,
    prepare: () => Promise.resolve(newSecret(uuidv7(), apiKeyPepper)),
    commit: async ({ tx, now }, { id, key, hash }, input) => {
      const expiresAt = input.expires_at === undefined ? null : new Date(input.expires_at)
      if (expiresAt !== null && expiresAt <= now) {
        throw new AppError('invalid_input', 'expires_at has passed; give a time to come.')
      }
      if ((input.requests_per_minute ?? Infinity) < requestsPerMinuteLeast) {
        throw new AppError(
          'invalid_input',
          `${requestsPerMinuteLeast} server processes share a limit without Redis, each with one request at least: ` +
            `allow ${requestsPerMinuteLeast} or more, or set REDIS_URL.`,
        )
      }
      if ((await countApiKeys(tx)) >= keysMax) {
        const message = `This namespace has ${keysMax} keys in force; revoke those that nobody uses.`
        throw new AppError('conflict', message)
      }
      const scopes = inOrder(input.scopes ?? defaultKeyScopes)
      const createdAt = await insertApiKey(tx, {
        id,
        agent: input.agent,
        label: input.label ?? '',
        scopes: scopes.join(' '),
        tools: input.tools?.join(' ') ?? null,
        requestsPerMinute: input.requests_per_minute ?? null,
        secretHash: hash,
        expiresAt,
      })
      if (createdAt === undefined) throw new TypeError('an administrator could not add a key')
      const output = {
        id,
        key,
        agent: input.agent,
        scopes,
        created_at: createdAt.toISOString(),
        expires_at: isoOrNull(expiresAt),
      }
      return { output, audit: { resourceIds: [id] } }
    },
  }
}

const listInput = z.strictObject({
  before_id: z
    .uuid()
    .optional()
    .describe('Keys older than this one: the last id of the page before'),
  limit: z.int().min(1).max(500).optional(),
})
const listOutput = z.object({ keys: z.array(described) })

export function keyListOperation(): Operation<typeof listInput, typeof listOutput, undefined> {
  return {
    name: 'key.list',
    title: 'List API keys',
    description: 'Keys of this namespace, newest first, without what is secret in them.',
    scope: 'admin',
    effect: 'read',
    input: listInput,
    output: listOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, now }, _prepared, input) => {
      const rows = await listApiKeys(tx, input.before_id, input.limit ?? 100)
      const keys = rows.map((row) => describeKey(row, now))
      return { output: { keys }, audit: { counts: { keys: keys.length } } }
    },
  }
}

const rotateInput = z.strictObject({
  id: keyId,
  grace_seconds: z
    .int()
    .min(0)
    .max(graceSecondsMax)
    .optional()
    .describe('How long the secret of before stays valid: a day unless given, seven at most'),
})
const rotateOutput = z.object({
  id: z.uuid(),
  key: z.string(),
  previous_valid_until: z.string().nullable(),
  expires_at: z.string().nullable(),
})

export function keyRotateOperation({
  apiKeyPepper,
}: KeyOperationDependencies): Operation<typeof rotateInput, typeof rotateOutput, NewSecret> {
  return {
    name: 'key.rotate',
    title: 'Rotate an API key',
    description:
      'Gives a key a new secret, shown once. The one before stays valid for the grace period; a third one never is.',
    scope: 'admin',
    effect: 'write',
    input: rotateInput,
    output: rotateOutput,
    isIdempotent: () => false,
    prepare: (_context, { id }) => Promise.resolve(newSecret(id, apiKeyPepper)),
    commit: async ({ tx }, { id, key, hash }, input) => {
      const rotated = await rotateApiKey(tx, id, hash, input.grace_seconds ?? daySeconds)
      if (rotated === undefined) throw noSuchKey('There is no such key in force in this namespace.')
      const output = {
        id,
        key,
        previous_valid_until: isoOrNull(rotated.previous_until),
        expires_at: isoOrNull(rotated.expires_at),
      }
      return { output, audit: { resourceIds: [id] } }
    },
  }
}

const revokeInput = z.strictObject({ id: keyId })
const revokeOutput = z.object({ id: z.uuid(), revoked_at: z.string() })

export function keyRevokeOperation(): Operation<
  typeof revokeInput,
  typeof revokeOutput,
  undefined
> {
  return {
    name: 'key.revoke',
    title: 'Revoke an API key',
    description: 'Ends a key for good, on every process within five seconds.',
    scope: 'admin',
    effect: 'delete',
    input: revokeInput,
    output: revokeOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _prepared, { id }) => {
      const revokedAt = await revokeApiKey(tx, id)
      if (revokedAt === undefined) throw noSuchKey('There is no such key in this namespace.')
      const output = { id, revoked_at: revokedAt.toISOString() }
      return { output, audit: { resourceIds: [id] } }
    },
  }
}

function noSuchKey(message: string): AppError {
  return new AppError('not_found', message)
}

function describeKey(row: ListedApiKey, now: Date): ApiKeyDescription {
  const { id, agent, label, requests_per_minute, created_by } = row
  return {
    id,
    key_start: publicPart(id),
    agent,
    label,
    requests_per_minute,
    created_by,
    scopes: z.array(scopeName).parse(row.scopes.split(' ')),
    tools: row.tools?.split(' ') ?? null,
    state: stateOf(row, now),
    created_at: row.created_at.toISOString(),
    rotated_at: isoOrNull(row.rotated_at),
    previous_valid_until: isoOrNull(row.previous_until),
    expires_at: isoOrNull(row.expires_at),
    last_used_at: isoOrNull(row.last_used_at),
    revoked_at: isoOrNull(row.revoked_at),
  }
}

function stateOf(row: ListedApiKey, now: Date): ApiKeyDescription['state'] {
  if (row.revoked_at !== null) return 'revoked'
  if (row.expires_at !== null && row.expires_at <= now) return 'expired'
  return row.previous_until === null ? 'active' : 'rotating'
}

/** In the order of the list of scopes, each once. */
function inOrder(scopes: readonly Scope[]): Scope[] {
  return allScopes.filter((scope) => scopes.includes(scope))
}

function isoOrNull(time: Date | null): string | null {
  return time?.toISOString() ?? null
}
