/** Steps of the random run in which namespaces let each other read, for a moment, and agents change memories. */
import { agents, types, type Allowed } from './canary-world.ts'
import type { Home, JudgedCalls } from './judged-calls.ts'
import { pick } from './mutations.ts'

/** A grant, and until when somebody may have been shown something through it. */
interface Given {
  readonly home: Home
  readonly id: string
  readonly allowed: { until: number }
}

export class GrantSteps {
  readonly #calls: JudgedCalls
  readonly #given: Given[] = []

  constructor(calls: JudgedCalls) {
    this.#calls = calls
  }

  /** Ends by itself after a moment, or is revoked, or stays; nothing breaks in it, so that it is there or not. */
  async create(): Promise<void> {
    const { started, random } = this.#calls
    const home = this.#calls.home()
    const grantee = pick(
      random,
      started.homes.filter((other) => other !== home),
    )
    const expiresAt = this.#calls.chance(0.5) ? Date.now() + 200 + random() * 2000 : undefined
    const includesShared = this.#calls.chance(0.3)
    const ofTypes = this.#calls.chance(0.4)
      ? types.filter(() => this.#calls.chance(0.5)).concat(pick(random, types))
      : undefined
    const word = this.#calls.chance(0.4)
      ? started.world.grantableOf(random, home.namespace)
      : undefined
    const isTag = this.#calls.chance(0.5)
    const input = {
      to: grantee.name,
      ...(ofTypes && { types: [...new Set(ofTypes)] }),
      ...(word !== undefined && (isTag ? { tag: word } : { entity: `Z${word.slice(1)} Miller` })),
      ...(this.#calls.chance(0.5) && { penalty: random() }),
      ...(includesShared && { include_shared: true }),
      ...(expiresAt !== undefined && { expires_at: new Date(expiresAt).toISOString() }),
    }
    const allowed = {
      home: home.namespace,
      grantee: grantee.namespace,
      includesShared,
      types: ofTypes,
      word,
      from: Date.now(),
      until: expiresAt ?? Number.POSITIVE_INFINITY,
    }
    started.world.allow(allowed)
    const principal = await this.#calls.principal(home, 'root', true)
    const { grantCreate } = started.memory.operations
    this.#calls.count()
    const { id } = await started.execute(grantCreate, principal, input)
    this.#given.push({ home, id, allowed })
    if (this.#given.length > 20) await this.revoke()
  }

  /** The oldest of this worker. Whoever asks after the answer is shown nothing through it. */
  async revoke(): Promise<void> {
    const { started } = this.#calls
    const oldest = this.#given.shift()
    if (oldest === undefined) return
    const principal = await this.#calls.principal(oldest.home, 'root', true)
    this.#calls.count()
    await started.execute(started.memory.operations.grantRevoke, principal, { id: oldest.id })
    oldest.allowed.until = Math.min(oldest.allowed.until, Date.now())
  }

  async ask(): Promise<void> {
    const { started, random } = this.#calls
    const { grants } = started.world
    const grant = grants.length === 0 ? undefined : pick(random, grants.slice(-40))
    const home =
      started.homes.find(({ namespace }) => namespace === grant?.grantee) ?? this.#calls.home()
    const principal = await this.#calls.principal(home)
    const asking = { principal, grantedSince: Date.now() }
    const input = { query: 'Whom did Ada tell in Lisbon?', limit: 10, include_granted: true }
    const answer = await this.#calls.judged(started.memory.operations.recall, asking, input)
    for (const { namespace } of answer?.results ?? []) {
      if (namespace === undefined || namespace === home.name) continue
      started.counts.add('granted rows shown')
      const grantsOf = grants.filter(
        (each) =>
          each.grantee === home.namespace &&
          started.homes.some((of) => of.name === namespace && of.namespace === each.home),
      )
      const isFiltered = (each: Allowed) => each.types !== undefined || each.word !== undefined
      if (grantsOf.every(isFiltered)) started.counts.add('rows shown by filters alone')
    }
  }

  /** Edits, retires, restores or pins what may be somebody else's. */
  async change(): Promise<void> {
    const { started, random } = this.#calls
    const home = this.#calls.home()
    const at = this.#calls.chance(0.3) ? this.#calls.home() : home
    const id = started.world.idOf(random, at.namespace)
    if (id === undefined) return
    const principal = await this.#calls.principal(home, pick(random, agents))
    const asking = { principal, named: [id], showsQuarantined: true }
    const { edit, retire, restore, pin } = started.memory.operations
    const way = Math.floor(random() * 4)
    const answer =
      way === 0
        ? await this.#calls.judged(edit, asking, { id, importance: random() })
        : way === 1
          ? await this.#calls.judged(retire, asking, { id, retire: 'no longer true' })
          : way === 2
            ? await this.#calls.judged(restore, asking, { id, restore_version: 1 })
            : await this.#calls.judged(pin, asking, { id, pin: this.#calls.chance(0.5) })
    if (started.world.isVisible(id, asking)) return
    started.counts.add('foreign asked')
    if (answer !== undefined)
      this.#calls.find(`${id} was changed by ${principal.agent} of ${home.name}`)
  }
}
