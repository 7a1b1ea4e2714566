/** One client of the random sequences: asks, keeps its model, and compares what the server shows with it. */
import { z } from 'zod'
import {
  expectedOf,
  holding,
  knownAt,
  newest,
  type Action,
  type Expected,
  type ModelMemory,
} from '../support/memory-model.ts'
import type { Answer, Installation, Server } from '../support/processes.ts'
import { pick } from '../hostile/mutations.ts'

/** The connection broke: whether the request was carried out is not known. */
class Unanswered extends Error {}

/** The one server, whichever it is now. */
export class Servers {
  readonly #installation: Installation
  #server: Promise<Server>
  kills = 0

  constructor(installation: Installation) {
    this.#installation = installation
    this.#server = installation.serve()
  }

  async call(tool: string, input: object): Promise<Answer> {
    const server = await this.#server
    try {
      return await server.call(tool, input)
    } catch (error) {
      // A connection that broke says TypeError, half an answer SyntaxError; anything else is a finding.
      if (error instanceof TypeError || error instanceof SyntaxError) throw new Unanswered()
      throw error
    }
  }

  async kill(): Promise<void> {
    const server = await this.#server
    this.#server = server.end('SIGKILL').then(() => this.#installation.serve())
    this.kills += 1
    await this.#server
  }

  async end(): Promise<void> {
    await (await this.#server).end('SIGTERM')
  }
}

const stored = z.object({ results: z.array(z.object({ id: z.string(), status: z.string() })) })
const recalled = z.object({
  results: z.array(
    z.object({
      id: z.string(),
      version: z.int(),
      content: z.string(),
      tags: z.array(z.string()),
      recorded_at: z.string(),
      valid_to: z.string().optional(),
      pinned: z.boolean().optional(),
      is_current: z.boolean().optional(),
    }),
  ),
  total: z.int().optional(),
})
type Shown = z.output<typeof recalled>['results'][number]
const asked = z.object({
  status: z.string(),
  memories: z.int(),
  versions: z.int(),
  confirm_token: z.string().optional(),
})

/** More than any answer of one sequence takes. */
const whole = { limit: 100, max_tokens: 150_000 }
const stepsMax = 12

export class Sequence {
  readonly findings: string[] = []
  readonly #servers: Servers
  readonly #random: () => number
  readonly #number: number
  readonly #session: string
  #memories: ModelMemory[] = []
  #made = 0
  #count: (what: string) => void = () => undefined

  constructor(servers: Servers, random: () => number, number: number) {
    this.#servers = servers
    this.#random = random
    this.#number = number
    this.#session = `sequence ${number}`
  }

  async run(count: (what: string) => void): Promise<void> {
    this.#count = count
    const steps = 5 + Math.floor(this.#random() * (stepsMax - 4))
    await this.#store()
    for (let step = 1; step < steps; step += 1) await this.#step()
    await this.#compare()
    count('sequence')
  }

  /** Until it is answered: for what changes nothing, and for what repeats safely. */
  async #ask<T>(schema: z.ZodType<T>, tool: string, input: object): Promise<T> {
    for (;;) {
      try {
        const answer = await this.#servers.call(tool, input)
        if (!answer.ok) throw new Error(`${tool} ${JSON.stringify(input)}: ${answer.code}`)
        return schema.parse(answer.output)
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error
        this.#count('unanswered')
      }
    }
  }

  #words(): string {
    this.#made += 1
    return `Lantern zq${this.#number} is in room ${this.#made}, says Ada Lovelace.`
  }

  async #store(): Promise<void> {
    const memory = { content: this.#words(), tags: ['new'] }
    const { results } = await this.#ask(stored, 'store', {
      ...memory,
      session: this.#session,
      idempotency_key: `${this.#number}/${this.#made}`,
    })
    const id = results[0]?.id ?? ''
    const versions = [{ ...memory, isRetired: false }]
    this.#memories.push({ id, versions, isPinned: false, isGone: false })
    this.#count('store')
  }

  async #step(): Promise<void> {
    const chance = this.#random()
    if (chance < 0.12 && this.#memories.length < 3) return this.#store()
    if (chance < 0.15) return this.#forgetAll()
    const memory = pick(this.#random, this.#memories)
    const action = this.#action(memory)
    const version = memory.versions.length
    const roll = this.#random()
    const expected =
      action.kind === 'forget' || roll < 0.6 ? undefined : roll < 0.85 ? version : version - 1
    await this.#change(memory, action, expected === 0 ? 99 : expected)
  }

  #action(memory: ModelMemory): Action {
    const { content, tags } = newest(memory)
    return pick<() => Action>(this.#random, [
      () => ({ kind: 'edit', content: this.#words() }),
      () => ({ kind: 'edit', content: this.#words() }),
      () => ({ kind: 'edit', tags: [`t${Math.floor(this.#random() * 3)}`] }),
      () => ({ kind: 'edit', content, tags }),
      () => ({ kind: 'retire' }),
      () => ({
        kind: 'restore',
        version: 1 + Math.floor(this.#random() * (memory.versions.length + 1)),
      }),
      () => ({ kind: 'restore', version: memory.versions.length }),
      () => ({ kind: 'pin', pin: this.#random() < 0.6 }),
      () => ({ kind: this.#random() < 0.5 ? 'expire' : 'forget' }),
    ])()
  }

  async #change(memory: ModelMemory, action: Action, expected?: number): Promise<void> {
    const outcome = expectedOf(memory, action, expected)
    this.#count(`${action.kind}${'refused' in outcome ? ' refused' : ''}`)
    const [tool, input] = requestOf(memory.id, action, expected)
    let answer: Answer
    try {
      answer = await this.#servers.call(tool, input)
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      this.#count('unanswered')
      return this.#settle(memory, outcome)
    }
    const code = answer.ok ? undefined : answer.code
    const wanted = 'refused' in outcome ? outcome.refused : undefined
    if (code !== wanted) {
      this.#find(`${JSON.stringify(input)} was ${code ?? 'done'}, not ${wanted ?? 'done'}`)
    }
    if ('after' in outcome) this.#put(outcome.after)
  }

  /** Nobody said whether it was done: it was, whole, or it was not at all. */
  async #settle(memory: ModelMemory, outcome: Expected): Promise<void> {
    const rows = await this.#history([memory.id])
    const after = 'after' in outcome ? outcome.after : memory
    const [wasDone, wasNot] = [after, memory].map((model) => same(rows, versionsOf(model)))
    if (wasDone === true) this.#put(after)
    else if (wasNot === false) this.#find(`${memory.id} is half changed: ${JSON.stringify(rows)}`)
  }

  async #forgetAll(): Promise<void> {
    this.#count('forget all')
    const left = this.#memories.filter(({ isGone }) => !isGone)
    let answer: z.output<typeof asked>
    try {
      const first = await this.#servers.call('forget', { session: this.#session })
      if (!first.ok) throw new Error(`forget by session: ${first.code}`)
      answer = asked.parse(first.output)
      if (answer.confirm_token !== undefined) {
        const { confirm_token: token } = answer
        const second = await this.#servers.call('forget', { confirm_token: token })
        if (!second.ok) throw new Error(`forget by token: ${second.code}`)
      }
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      this.#count('unanswered')
      const rows = await this.#history(left.map(({ id }) => id))
      if (rows.length === 0) for (const one of left) this.#put({ ...one, isGone: true })
      else if (!same(rows, left.flatMap(versionsOf))) this.#find('half of a session was forgotten')
      return
    }
    if (answer.memories !== left.length) {
      this.#find(`forgetting all counted ${answer.memories}, not ${left.length}`)
    }
    for (const one of left) this.#put({ ...one, isGone: true })
  }

  #put(after: ModelMemory): void {
    this.#memories = this.#memories.map((memory) => (memory.id === after.id ? after : memory))
  }

  async #history(ids: readonly string[]): Promise<readonly Shown[]> {
    if (ids.length === 0) return []
    const input = { ids, include_history: true, max_tokens: whole.max_tokens }
    return (await this.#ask(recalled, 'recall', input)).results
  }

  async #compare(): Promise<void> {
    const session = this.#session
    const all = this.#memories.flatMap(versionsOf)
    const live = this.#memories.filter((memory) => holding(memory) !== undefined)
    const current = live.map((memory) => versionsOf(memory).at(-1) ?? all[0])
    const rows = await this.#history(this.#memories.map(({ id }) => id))
    this.#equal('history by ids', rows.map(seenOf), all)
    const browse = (more: object) => this.#ask(recalled, 'recall', { session, ...whole, ...more })
    if (this.#random() < 0.3) {
      const history = await browse({ include_history: true })
      this.#equal('history by session', history.results.map(seenOf), all)
    }
    const now = await browse({})
    this.#equal('current', now.results.map(seenOf).map(withoutPlace), current.map(withoutPlace))
    this.#equal('total', [now.total], [live.length])
    if (this.#random() < 0.3) {
      const found = await browse({ query: `Where is lantern zq${this.#number}?` })
      const lines = found.results.map(seenOf).map(withoutPlace)
      this.#equal('question', lines, current.map(withoutPlace))
    }
    await this.#comparePast(rows)
    const left = this.#memories.filter(({ isGone }) => !isGone)
    const counted = await this.#ask(asked, 'forget', { session, dry_run: true })
    const versions = left.reduce((sum, memory) => sum + memory.versions.length, 0)
    this.#equal('counts', [counted.memories, counted.versions], [left.length, versions])
  }

  async #comparePast(rows: readonly Shown[]): Promise<void> {
    const recorded = new Map<string, number[]>()
    for (const { id, recorded_at: at } of rows.toReversed()) {
      recorded.set(id, [...(recorded.get(id) ?? []), Date.parse(at)])
    }
    for (const [id, times] of recorded) {
      const sorted = [...new Set(times)].toSorted((a, b) => a - b)
      this.#equal(`times of ${id}`, times, sorted)
    }
    const times = [...recorded.values()].flat()
    if (times.length === 0) return
    const instant = pick(this.#random, times) - Math.floor(this.#random() * 2)
    const as_of = new Date(instant).toISOString()
    const then = await this.#ask(recalled, 'recall', { session: this.#session, ...whole, as_of })
    const wanted = this.#memories.flatMap((memory) => {
      const known = knownAt(memory, recorded.get(memory.id) ?? [], instant)
      return known === undefined ? [] : `${memory.id}/${known}`
    })
    const shown = then.results.map(({ id, version }) => `${id}/${version}`)
    this.#equal(`as of ${as_of}`, shown, wanted)
  }

  #equal(what: string, shown: readonly unknown[], wanted: readonly unknown[]): void {
    const [one, other] = [shown, wanted].map((list) =>
      JSON.stringify(what.startsWith('times') ? list : list.map((item) => String(item)).toSorted()),
    )
    if (one !== other) this.#find(`${what}: ${one}, not ${other}`)
  }

  #find(what: string): void {
    this.findings.push(`sequence ${this.#number}: ${what}`)
  }
}

/** A version as one line, so that lists of them compare in any order. */
function versionsOf({ id, versions, isPinned, isGone }: ModelMemory): string[] {
  if (isGone) return []
  return versions.map(({ content, tags, isRetired }, index) =>
    [
      `${id}/${index + 1}`,
      content,
      tags.join(),
      isRetired ? 'retired' : 'true',
      isPinned ? 'pinned' : '-',
      index === versions.length - 1 ? 'newest' : 'older',
    ].join(' | '),
  )
}

function seenOf(row: Shown): string {
  return [
    `${row.id}/${row.version}`,
    row.content,
    row.tags.join(),
    row.valid_to === undefined ? 'true' : 'retired',
    row.pinned === true ? 'pinned' : '-',
    row.is_current === false ? 'older' : 'newest',
  ].join(' | ')
}

/** Of what holds now an answer does not say that it is the newest. */
function withoutPlace(line: string | undefined): string {
  return (line ?? '').replace(/ \| (?:newest|older)$/u, '')
}

function same(rows: readonly Shown[], wanted: readonly string[]): boolean {
  return rows.map(seenOf).toSorted().join('\n') === wanted.toSorted().join('\n')
}

function requestOf(id: string, action: Action, expected: number | undefined): [string, object] {
  const named = { id, ...(expected !== undefined && { expected_version: expected }) }
  if (action.kind === 'forget') return ['forget', { ids: [id] }]
  return ['store', { ...named, ...changeOf(action) }]
}

function changeOf(action: Exclude<Action, { readonly kind: 'forget' }>): object {
  if (action.kind === 'retire') return { retire: 'moved' }
  if (action.kind === 'restore') return { restore_version: action.version }
  if (action.kind === 'expire') return { expires_at: '2020-01-01' }
  const { kind: _kind, ...change } = action
  return change
}
