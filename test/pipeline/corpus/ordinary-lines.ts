/** Lines without a credential: this repository's own prose and code, and the turns of its dialogues. */
import { readdirSync, readFileSync } from 'node:fs'

const root = new URL('../../../', import.meta.url)

/** Tests hold made-up credentials on purpose, and so do two examples of the README. */
export function ordinaryLines(): string[] {
  const programs = ['src', 'docs', 'migrations', 'bench'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:ts|md|sql)$/u.test(name))
      .map((name) => readFileSync(new URL(`${folder}/${name}`, root), 'utf8')),
  )
  const dialogues = readdirSync(new URL('bench/dialogues', root))
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) =>
      stringsOf(JSON.parse(readFileSync(new URL(`bench/dialogues/${name}`, root), 'utf8'))),
    )
  return [...programs, ...dialogues]
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.trim() !== '')
}

export function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsOf) : []
}
