/** Forgetting more than one memory asks a person first: by elicitation where the client can, else by token. */
import { createHash } from 'node:crypto'
import {
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  ProtocolError,
  ProtocolErrorCode,
  type InputRequiredResult,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Principal } from '../principal.ts'
import type { ForgetOutput, McpHost } from './host.ts'
import { progressOf } from './progress.ts'
import type { QuestionState, ToolCall } from './tool-call.ts'

/** How long an asked person has; the token of the operation lives as long. */
const ttlSeconds = 600

const questionState: z.ZodType<QuestionState> = z.strictObject({
  token: z.string(),
  digest: z.string(),
  memories: z.int(),
  versions: z.int(),
})

/** A codec whose state is worthless to another principal, after ten minutes, or when altered. */
export function confirmationCodec(
  key: Uint8Array,
  principal: Principal,
): RequestStateCodec<QuestionState> {
  const owner = `${principal.namespace}\0${principal.agent}`
  return createRequestStateCodec<QuestionState>({
    key,
    ttlSeconds,
    bind: ({ mcpReq }) => `${mcpReq.method}\0${owner}`,
  })
}

/** Runs `forget`, with a question to the person in between where one is needed and possible. */
export async function confirmForget(
  host: McpHost,
  { principal, input, context, confirmation }: ToolCall,
): Promise<ForgetOutput | InputRequiredResult> {
  const progress = progressOf(context)
  const run = async (given: Readonly<Record<string, unknown>>): Promise<ForgetOutput> => {
    const options = { signal: context.mcpReq.signal, onProgress: progress.report }
    const output = await host.execute(host.operations.forget, principal, given, options)
    await progress.finish()
    return output
  }
  const asked = context.mcpReq.requestState()
  if (asked !== undefined) return settle(run, questionState.parse(asked), input, context)
  const output = await run(input)
  const { confirm_token: token, status } = output
  if (status !== 'confirmation_required' || token === undefined) return output
  if (!confirmation.canAsk(context)) return output
  const state = { token, digest: digestOf(input), ...sizeOf(output) }
  return inputRequired({
    inputRequests: { confirm: question(output) },
    requestState: await confirmation.codec.mint(state, context),
  })
}

/**
 * Counts; what filters take is not shown again. What a query takes is not known by its filters, so each memory
 * is named, by what is ours to say: stored words could ask the person to agree.
 */
function question({ memories, versions, matches = [] }: ForgetOutput) {
  const named = matches.map(({ id, type, occurred_at: at }) => `• ${at.slice(0, 10)} ${type} ${id}`)
  const where =
    named.length === 0 ? [] : ['recall with ids, or forget with dry_run, shows their words:']
  const counted = `Forget ${memories} memories (${versions} versions) for good? This cannot be undone.`
  return inputRequired.elicit({
    message: [counted, ...where, ...named].join('\n'),
    requestedSchema: {
      type: 'object',
      properties: {
        confirm: {
          type: 'boolean',
          title: `Forget ${memories} memories`,
          description: 'There is no way to bring them back.',
          default: false,
        },
      },
      required: ['confirm'],
    },
  })
}

async function settle(
  run: (input: Readonly<Record<string, unknown>>) => Promise<ForgetOutput>,
  state: QuestionState,
  input: Readonly<Record<string, unknown>>,
  context: ServerContext,
): Promise<ForgetOutput> {
  if (state.digest !== digestOf(input)) {
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      'The confirmation belongs to other arguments',
    )
  }
  const reply = inputResponse(context.mcpReq.inputResponses, 'confirm')
  const isConfirmed =
    reply.kind === 'elicit' && reply.action === 'accept' && reply.content?.['confirm'] === true
  // Declined, cancelled or unticked: the set stays, its token expires unused and is not shown.
  if (!isConfirmed) return { status: 'confirmation_required', ...sizeOf(state) }
  return run({ ...input, confirm_token: state.token })
}

function sizeOf({ memories, versions }: { memories: number; versions: number }) {
  return { memories, versions }
}

/** The same arguments in another order are the same request. */
function digestOf(input: Readonly<Record<string, unknown>>): string {
  const sorted = Object.entries(input).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url')
}
