/** Clients of a REST server in a thread of their own, so that the server's thread is not measured twice. */
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

/** What the thread is started with. */
export interface ClientData {
  readonly origin: string
  readonly key: string
  readonly questions: readonly string[]
}

/** One question, or many clients at once; each is answered with one message. */
export type Task =
  | { readonly kind: 'ask'; readonly query: string }
  | { readonly kind: 'flood'; readonly clients: number; readonly seconds: number }

export interface Asked {
  readonly ms: number
  readonly status: number
}

export interface Flooded {
  /** By status, or by the code of a broken connection. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly servedMs: readonly number[]
}

/** The longest that a client waits when it is told to. */
const waitMsMax = 5000

if (parentPort !== null) {
  const port = parentPort
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made by the bench with this very type
  const data = workerData as ClientData
  const agent = new Agent({ keepAlive: true })
  port.on('message', (task: Task) => {
    void run(task, data, agent).then((answer) => port.postMessage(answer))
  })
}

async function run(task: Task, data: ClientData, agent: Agent): Promise<Asked | Flooded> {
  if (task.kind === 'ask') return await post(data, agent, task.query)
  const until = performance.now() + task.seconds * 1000
  const outcomes: Record<string, number> = {}
  const servedMs: number[] = []
  const client = async (number: number): Promise<void> => {
    for (let turn = number; performance.now() < until; turn += 1) {
      const query = data.questions[turn % data.questions.length] ?? ''
      const answer = await post(data, agent, query).catch((error: unknown) => nameOf(error))
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
  { origin, key }: ClientData,
  agent: Agent,
  query: string,
): Promise<Asked & { readonly retryAfterSeconds: number }> {
  const body = JSON.stringify({ query })
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const sent = request(`${origin}/memory/recall`, { method: 'POST', agent, headers }, (reply) => {
      reply.resume()
      reply.on('error', reject)
      reply.on('end', () =>
        resolve({
          ms: performance.now() - began,
          status: reply.statusCode ?? 0,
          retryAfterSeconds: Number(reply.headers['retry-after'] ?? 1),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
