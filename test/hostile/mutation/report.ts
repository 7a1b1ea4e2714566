/** What became of the mutants, by kind. */
import { isEquivalent } from './equivalent.ts'

interface Line {
  there: number
  tried: number
  killed: number
  ms: number
  readonly equivalent: string[]
  readonly survivors: string[]
}

export class Report {
  readonly #lines = new Map<string, Line>()
  readonly #needless: string[] = []

  /** `killedBy` is undefined for a mutant that nobody noticed. */
  add(kind: string, name: string, killedBy: string | undefined): void {
    const line = this.#line(kind)
    line.tried += 1
    const isListed = isEquivalent(kind, name)
    if (killedBy !== undefined) line.killed += 1
    else if (isListed) line.equivalent.push(name)
    else line.survivors.push(name)
    if (killedBy !== undefined && isListed) this.#needless.push(`${kind}: ${name}: ${killedBy}`)
  }

  /** Asks who notices, and adds what it took. */
  async time(kind: string, name: string, kill: () => Promise<string | undefined>): Promise<void> {
    const start = performance.now()
    const killedBy = await kill()
    this.spend(kind, performance.now() - start)
    this.add(kind, name, killedBy)
  }

  spend(kind: string, ms: number): void {
    this.#line(kind).ms += ms
  }

  /** How many of a kind were found, tried or not. */
  count(kind: string, there = 1): void {
    this.#line(kind).there += there
  }

  get survivors(): readonly string[] {
    return [...this.#lines].flatMap(([kind, { survivors }]) =>
      survivors.map((name) => `${kind}: ${name}`),
    )
  }

  /** Listed as equivalent and noticed all the same: they are to be taken off the list. */
  get needless(): readonly string[] {
    return this.#needless
  }

  /** As a table of Markdown. */
  toString(): string {
    const rows = [...this.#lines].map(([kind, line]) => {
      const { there, tried, killed, equivalent, survivors, ms } = line
      return [kind, there, tried, killed, equivalent.length, survivors.length, ms / 1000]
    })
    const sum = (column: number) => rows.reduce((total, row) => total + Number(row[column]), 0)
    const all = ['all', ...[1, 2, 3, 4, 5, 6].map(sum)]
    const head = ['guard removed', 'there', 'tried', 'noticed', 'equivalent', 'survivors', 's']
    const texts = [...rows, all].map((row) =>
      row.map((cell, column) => (column === 6 ? Number(cell).toFixed(1) : `${cell}`)),
    )
    return [head, ['---', '--:', '--:', '--:', '--:', '--:', '--:'], ...texts]
      .map((row) => `| ${row.join(' | ')} |`)
      .join('\n')
  }

  #line(kind: string): Line {
    const line = this.#lines.get(kind) ?? {
      there: 0,
      tried: 0,
      killed: 0,
      ms: 0,
      equivalent: [],
      survivors: [],
    }
    this.#lines.set(kind, line)
    return line
  }
}
