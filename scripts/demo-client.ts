/** What the demo says to the server and how it reads the answers: as any client, through its tools. */
import type { Client } from '@modelcontextprotocol/client'
import { z } from 'zod'

export const note = z.looseObject({
  key: z.string(),
  content: z.string(),
  ttl_seconds: z.int().optional(),
})
export const notesFile = z.object({
  notes: z.array(note),
  questions: z.array(z.object({ question: z.string(), expects: z.string(), why: z.string() })),
  forget: z.object({ tag: z.string() }),
})
export const stored = z.object({
  results: z.array(z.object({ id: z.string(), expires_at: z.string().optional() })),
  stored: z.int(),
})
const memory = z.object({
  id: z.string(),
  content: z.string(),
  score: z.number().optional(),
  type: z.string(),
  occurred_at: z.string(),
  event_date: z.string().optional(),
  speaker: z.string().optional(),
  session: z.string().optional(),
  owner_agent: z.string(),
  source: z.object({ kind: z.string(), trust: z.int() }),
})
export type Memory = z.output<typeof memory>
export const recalled = z.object({ results: z.array(memory) })
export const exported = z.object({
  content: z.string(),
  count: z.int(),
  next_cursor: z.string().optional(),
})
export const forgotten = z.object({
  status: z.enum(['forgotten', 'dry_run', 'confirmation_required']),
  memories: z.int(),
  versions: z.int(),
  confirm_token: z.string().optional(),
})

/** A step did not do what it says. */
export class StepFailed extends Error {}

/** Calls a tool as a client does and returns its structured answer with the time it took. */
export async function call<Schema extends z.ZodType>(
  client: Client,
  name: string,
  input: Record<string, unknown>,
  schema: Schema,
): Promise<{ output: z.output<Schema>; milliseconds: number }> {
  const startedAt = performance.now()
  const result = await client.callTool({ name, arguments: input })
  const milliseconds = performance.now() - startedAt
  if (result.isError === true) {
    const [first] = result.content
    throw new StepFailed(`${name}: ${first?.type === 'text' ? first.text : 'failed'}`)
  }
  return { output: schema.parse(result.structuredContent), milliseconds }
}

/** The server refuses settings it does not know, and must not see a database of the person's own. */
export function inherited(): Record<string, string> {
  const foreign = /^(?:MINDGLUE_|DATABASE_URL|MIGRATION_DATABASE_URL|REDIS_URL)/u
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || foreign.test(name) ? [] : [[name, value]],
    ),
  )
}
