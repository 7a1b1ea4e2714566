/**
 * What a namespace keeps and what never: words of its administrators that every client's model is given with the
 * server's own instructions. Stored in the namespace's encryption, each time under a key of their own.
 */
import { z } from 'zod'
import { envelopeFailure, open, seal } from '../crypto/envelope.ts'
import { contentKeySlot } from '../crypto/namespace-keys.ts'
import type { Actor, NamespaceScope } from '../database/scope.ts'
import type { NamespaceSettings, Operation } from '../operation.ts'
import { clean } from '../pipeline/clean.ts'
import { findSecrets } from '../pipeline/secrets.ts'
import { forgeryOf } from '../pipeline/suspicion/delimiters.ts'
import { countTokens } from '../pipeline/tokens.ts'
import { readInstructions, writeInstructions, type StoredInstructions } from './instructions.sql.ts'
import { readRevision } from './namespaces.sql.ts'
import type { Namespaces } from './namespaces.ts'

/** Every conversation begins with them: some twenty rules. */
const instructionsBytesMax = 2 * 1024
const instructionsTokensMax = 600
const column = 'instructions'

/** Where their key belongs. */
export const instructionsSlot = contentKeySlot('instructions', 0)

// With the u flag a surrogate pair is one code point, so this finds lone ones only.
const loneSurrogate = /\p{Surrogate}/u

/** Words for a model that nobody can hide anything in, or end the instructions with. */
export const instructionsText = z
  .string()
  .max(instructionsBytesMax)
  .refine((text) => Buffer.byteLength(text) <= instructionsBytesMax, {
    error: `longer than ${instructionsBytesMax} bytes of UTF-8`,
  })
  .refine((text) => countTokens(text) <= instructionsTokensMax, {
    error: `longer than ${instructionsTokensMax} tokens: every conversation begins with them`,
  })
  .refine((text) => text.trim() !== '', { error: 'empty; null takes them away' })
  .refine((text) => clean(text) === text && !text.includes('\t') && !loneSurrogate.test(text), {
    error: 'holds control or hidden characters; lines end with \\n alone',
  })
  .refine((text) => forgeryOf(text) === undefined, {
    error:
      'holds marks that models or this server use to tell whose words they read; write plain text',
  })
  .refine((text) => findSecrets(text).length === 0, {
    error: 'holds a credential, which every client would be given',
  })

const nothing = z.strictObject({})
const setInput = z.strictObject({
  instructions: instructionsText
    .nullable()
    .describe('What to keep and what never, in plain words; null takes them away'),
})
const output = z.object({
  instructions: z.string().optional().describe('Absent when there are none'),
  bytes_max: z.int(),
})

export function instructionsReadOperation(): Operation<typeof nothing, typeof output, undefined> {
  return {
    name: 'instructions.read',
    title: 'Read the instructions of the namespace',
    description:
      'What this namespace is to keep and what never, as its administrators said. Clients get it with the instructions of the server when they connect.',
    scope: 'memory:read',
    effect: 'read',
    input: nothing,
    output,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, settings }) => ({
      output: answer(decodeInstructions(settings, await readInstructions(tx))),
      audit: {},
    }),
  }
}

/** Clients that are connected go on with those they were given. */
export function instructionsSetOperation(): Operation<typeof setInput, typeof output, undefined> {
  return {
    name: 'instructions.set',
    title: 'Set the instructions of the namespace',
    description:
      'Say what this namespace is to keep and what never: every client that connects gives it to its model. For administrators.',
    scope: 'admin',
    effect: 'write',
    input: setInput,
    output,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, settings }, _prepared, { instructions }) => {
      const stored = instructions === null ? undefined : encodeInstructions(settings, instructions)
      await writeInstructions(tx, stored)
      return {
        output: answer(instructions ?? undefined),
        audit: { counts: { bytes: Buffer.byteLength(instructions ?? '') } },
      }
    },
  }
}

/**
 * The instructions for a client that connects: no operation, since whoever may only store needs them most, and
 * nothing of a memory is in them. Throws AppError.
 */
export async function readNow(
  { scope, namespaces }: { readonly scope: NamespaceScope; readonly namespaces: Namespaces },
  actor: Actor,
): Promise<string | undefined> {
  const { stored, revision } = await scope.withNamespace(actor, { readOnly: true }, async (tx) => ({
    stored: await readInstructions(tx),
    revision: await readRevision(tx, false),
  }))
  if (stored === undefined) return undefined
  return decodeInstructions(await namespaces.settings(actor, revision), stored)
}

function answer(instructions: string | undefined): z.output<typeof output> {
  return { ...(instructions !== undefined && { instructions }), bytes_max: instructionsBytesMax }
}

export function encodeInstructions(
  { namespace, keys }: NamespaceSettings,
  text: string,
): StoredInstructions {
  const bytes = Buffer.from(text, 'utf8')
  if (keys === undefined) return { instructions: bytes, key_id: null, epoch: null, token: null }
  const { key, wrapped } = keys.newContentKey(instructionsSlot)
  return {
    instructions: seal(key, contextOf(namespace), bytes),
    key_id: wrapped.keyId,
    epoch: wrapped.epoch,
    token: wrapped.token,
  }
}

/** Throws AppError `internal` for what is not this namespace's, or plain where it must not be. */
export function decodeInstructions(
  { namespace, keys, plainBelow }: NamespaceSettings,
  stored: StoredInstructions | undefined,
): string | undefined {
  if (stored === undefined) return undefined
  const { instructions, token } = stored
  if (token === null) {
    if (keys === undefined || plainBelow !== undefined) return instructions.toString('utf8')
    throw envelopeFailure('version')
  }
  if (keys === undefined) throw envelopeFailure('key')
  const key = keys.openContentKey(instructionsSlot, token)
  return open(key, contextOf(namespace), instructions).toString('utf8')
}

function contextOf(namespace: bigint) {
  const { id, version } = instructionsSlot
  return { namespace, id, version, column }
}
