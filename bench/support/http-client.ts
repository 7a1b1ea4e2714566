/** Clients of a REST server in a process of their own, so that the server's is not measured with them. */
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** What the process is started with, as JSON in its first argument. */
export interface ClientData {
  readonly origin: string
  readonly key: string
  readonly questions: readonly string[]
}

/** One question, or many clients at once; each is answered with one message. */
export type Task =
  | { readonly kind: 'ask'; readonly origin: string; readonly query: string }
  | { readonly kind: 'flood'; readonly clients: number; readonly seconds: number }

export interface Asked {
  /** From the request to the last byte of the answer. */
  readonly ms: number
  readonly status: number
  /** Of the body. */
  readonly bytes: number
}

export interface Flooded {
  /** By status, or by the code of a broken connection. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly servedMs: readonly number[]
}

/** The longest that a client waits when it is told to. */
const waitMsMax = 5000

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made by the bench with this very type
const data = JSON.parse(process.argv[2] ?? '') as ClientData
const agent = new Agent({ keepAlive: true })
process.on('message', (task: Task) => {
  void run(task).then((answer) => process.send?.(answer))
})

async function run(task: Task): Promise<Asked | Flooded> {
  if (task.kind === 'ask') return await post(task.origin, task.query)
  const until = performance.now() + task.seconds * 1000
  const outcomes: Record<string, number> = {}
  const servedMs: number[] = []
  const client = async (number: number): Promise<void> => {
    for (let turn = number; performance.now() < until; turn += 1) {
      const query = data.questions[turn % data.questions.length] ?? ''
      const answer = await post(data.origin, query).catch((error: unknown) => nameOf(error))
      const outcome = typeof answer === 'string' ? answer : String(answer.status)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      if (typeof answer === 'string') continue
      if (answer.status === 200) servedMs.push(answer.ms)
      else await delay(Math.min(waitMsMax, answer.retryAfterSeconds * 1000))
    }
  }
  await Promise.all(Array.from({ length: task.clients }, (_, number) => client(number)))
  return { outcomes, servedMs }
}

function nameOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed'
}

function post(
  origin: string,
  query: string,
): Promise<Asked & { readonly retryAfterSeconds: number }> {
  const { key } = data
  const body = JSON.stringify({ query })
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const sent = request(`${origin}/memory/recall`, { method: 'POST', agent, headers }, (reply) => {
      let bytes = 0
      reply.on('data', (part: Buffer) => (bytes += part.length))
      reply.on('error', reject)
      reply.on('end', () =>
        resolve({
          ms: performance.now() - began,
          status: reply.statusCode ?? 0,
          bytes,
          retryAfterSeconds: Number(reply.headers['retry-after'] ?? 1),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
