/** What became of the mutants, by kind. */
import { equivalents } from './equivalent.ts'

interface Line {
  there: number
  tried: number
  killed: number
  readonly equivalent: string[]
  readonly survivors: string[]
}

export class Report {
  readonly #lines = new Map<string, Line>()

  /** `killedBy` is undefined for a mutant that nobody noticed. */
  add(kind: string, name: string, killedBy: string | undefined): void {
    const line = this.#line(kind)
    line.tried += 1
    if (killedBy !== undefined) line.killed += 1
    else if (equivalents.some((each) => each.kind === kind && name.startsWith(each.name))) {
      line.equivalent.push(name)
    } else line.survivors.push(name)
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
  get tried(): number {
    return [...this.#lines.values()].reduce((sum, { tried }) => sum + tried, 0)
  }

  /** As a table of Markdown. */
  toString(): string {
    const rows = [...this.#lines].map(([kind, line]) => {
      const { there, tried, killed, equivalent, survivors } = line
      return [kind, there, tried, killed, equivalent.length, survivors.length]
    })
    const sum = (column: number) => rows.reduce((total, row) => total + Number(row[column]), 0)
    const all = ['all', ...[1, 2, 3, 4, 5].map(sum)]
    const head = ['guard removed', 'there', 'tried', 'noticed', 'equivalent', 'survivors']
    return [head, ['---', '--:', '--:', '--:', '--:', '--:'], ...rows, all]
      .map((row) => `| ${row.join(' | ')} |`)
      .join('\n')
  }

  #line(kind: string): Line {
    const line = this.#lines.get(kind) ?? {
      there: 0,
      tried: 0,
      killed: 0,
      equivalent: [],
      survivors: [],
    }
    this.#lines.set(kind, line)
    return line
  }
}
