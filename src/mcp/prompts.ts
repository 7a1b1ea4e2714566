/** Prompts a person can pick in a client: brief me, continue, remember this conversation. */
import {
  ProtocolError,
  ProtocolErrorCode,
  type GetPromptRequest,
  type GetPromptResult,
  type Prompt,
} from '@modelcontextprotocol/server'
import { cleanLine } from '../pipeline/clean.ts'
import type { McpHost } from './host.ts'
import { fence, memoryText } from '../memory/text.ts'
import { asProtocolError, type ResourceCall } from './resources.ts'

/** Memories put into a prompt. */
const memoriesMax = 20
const argumentLengthMax = 2000

interface PromptEntry {
  readonly definition: Prompt
  get(host: McpHost, call: ResourceCall, given: Arguments): Promise<readonly string[]>
}

type Arguments = Readonly<Record<string, string>>

const prompts: readonly PromptEntry[] = [
  {
    definition: {
      name: 'brief',
      title: 'Brief me',
      description: 'What is remembered about a topic, as a short briefing with dates and sources.',
      arguments: [{ name: 'topic', description: 'What to be briefed about', required: true }],
    },
    get: async (host, call, given) => {
      const topic = required(given, 'topic')
      const found = await recalled(host, call, { query: topic, limit: memoriesMax })
      return [
        found,
        `Brief me about the following topic from the stored data above: ${topic}\n` +
          'Give facts with their dates and who said them, newest state first; say what is missing or contradictory. ' +
          'Use the recall tool for what you need beyond it. Do not invent anything.',
      ]
    },
  },
  {
    definition: {
      name: 'continue',
      title: 'Continue where we left off',
      description:
        'The newest memories, of one session if given, as the start of a new conversation.',
      arguments: [{ name: 'session', description: 'Session to continue', required: false }],
    },
    get: async (host, call, { session }) => {
      const filter = session === undefined || session === '' ? {} : { session }
      const found = await recalled(host, call, { ...filter, limit: memoriesMax })
      return [
        found,
        'Continue from the stored data above: say in a few lines what was being done, what was decided, ' +
          'what is open, and propose the next step. Use the recall tool for what you need beyond it.',
      ]
    },
  },
  {
    definition: {
      name: 'remember_session',
      title: 'Remember this conversation',
      description: 'Store what is worth keeping from this conversation, one idea per memory.',
      arguments: [{ name: 'session', description: 'Name of this conversation', required: false }],
    },
    get: (_host, _call, { session }) => {
      const named = session === undefined || session === '' ? '' : ` with session "${session}"`
      return Promise.resolve([
        'Go through our conversation and store what will matter later with one call of the store tool' +
          ` (memories: [...])${named}: facts, preferences, decisions with their reasons, procedures that worked, ` +
          'open tasks. One idea per memory, in full sentences that make sense alone, with speaker and occurred_at ' +
          'where known. Leave out small talk, secrets and passwords. Recall first what is known and do not store it again. ' +
          'Then list what you stored.',
      ])
    },
  },
]

export const promptDefinitions: readonly Prompt[] = prompts.map(({ definition }) => definition)

/** Answers `prompts/get`. Throws -32602 for an unknown prompt or a missing or too long argument. */
export async function getPrompt(
  host: McpHost,
  call: ResourceCall,
  { name, arguments: given = {} }: GetPromptRequest['params'],
): Promise<GetPromptResult> {
  const prompt = prompts.find(({ definition }) => definition.name === name)
  if (prompt === undefined) throw invalid('Unknown prompt; prompts/list names them')
  for (const [key, value] of Object.entries(given)) {
    if (value.length > argumentLengthMax) {
      throw invalid(`${key} is longer than ${argumentLengthMax} characters`)
    }
  }
  const cleaned = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, cleanLine(value)]),
  )
  const texts = await prompt.get(host, call, cleaned)
  return {
    description: prompt.definition.description,
    messages: texts.map((text) => ({ role: 'user', content: { type: 'text', text } })),
  }
}

async function recalled(
  host: McpHost,
  { principal, options }: ResourceCall,
  input: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { results } = await asProtocolError(() =>
    host.execute(host.operations.recall, principal, input, options),
  )
  if (results.length === 0) return 'Nothing is stored about this yet.'
  return fence(results.map((memory) => memoryText(memory)))
}

function required(given: Arguments, name: string): string {
  const value = given[name]
  if (value === undefined || value.trim() === '') throw invalid(`${name} is required`)
  return value
}

function invalid(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message)
}
