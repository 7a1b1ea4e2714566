/** What the newest memories are about: the entities that they mention most, the newer the more. Pure. */
import type { Outline } from './outlines.sql.ts'

export interface Theme {
  readonly name: string
  /** Newest first. */
  readonly memories: readonly Outline[]
}

/** An entity before its name is read. */
export interface Mentioned {
  readonly entity: bigint
  readonly weight: number
}

/** Names that are read; several of them may be of one thing. */
const namesMax = 24
const themesMax = 6
/** A mention counts half, so many memories later. */
const halfLifeMemories = 300
const mentionsMin = 2

/** The most mentioned entities, at most `namesMax`. `newest`: newest first. */
export function mostMentioned(newest: readonly Outline[]): Mentioned[] {
  const found = new Map<bigint, { weight: number; mentions: number }>()
  for (const [place, { entities }] of newest.entries()) {
    for (const entity of entities) {
      const { weight, mentions } = found.get(entity) ?? { weight: 0, mentions: 0 }
      const more = 0.5 ** (place / halfLifeMemories)
      found.set(entity, { weight: weight + more, mentions: mentions + 1 })
    }
  }
  return [...found]
    .filter(([, { mentions }]) => mentions >= mentionsMin)
    .map(([entity, { weight }]) => ({ entity, weight }))
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, namesMax)
}

/**
 * Them as themes, at most `themesMax`; names of which one is a part or the beginning of the other ("Mira", "Mira
 * Osei"; "Mel", "Melanie") are told together. `speakerOf`: blind index of a name as a speaker.
 */
export function themesOf(
  mentioned: readonly Mentioned[],
  names: ReadonlyMap<bigint, string>,
  newest: readonly Outline[],
  speakerOf: (name: string) => string,
): Theme[] {
  const groups: { weight: number; entities: Set<bigint>; names: string[] }[] = []
  for (const { entity, weight } of mentioned) {
    const name = names.get(entity)
    if (name === undefined) continue
    const group = groups.find((other) => other.names.some((known) => isRelated(name, known)))
    if (group === undefined) groups.push({ weight, entities: new Set([entity]), names: [name] })
    else {
      group.entities.add(entity)
      group.weight += weight
      group.names.push(name)
    }
  }
  return groups
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, themesMax)
    .map(({ entities, names: all }) => {
      const speakers = new Set(all.map(speakerOf))
      // What people say of themselves tells more of them than what is said to them.
      const isOwn = ({ speaker }: Outline) => speaker !== undefined && speakers.has(speaker)
      const own = newest.filter(isOwn)
      const of = newest.filter((one) => one.entities.some((entity) => entities.has(entity)))
      const isTalker = own.length > of.length / 2
      return { name: nameOf(all), memories: isTalker ? own : [...new Set([...own, ...of])] }
    })
}

/** The longest, and what else it is called. */
function nameOf(names: readonly string[]): string {
  const [longest = '', ...others] = names.toSorted((a, b) => b.length - a.length)
  const words = new Set(longest.toLowerCase().split(' '))
  const unlike = others.filter(
    (name) => !name.split(' ').every((word) => words.has(word.toLowerCase())),
  )
  return unlike.length === 0 ? longest : `${longest} (${unlike.slice(0, 2).join(', ')})`
}

function isRelated(a: string, b: string): boolean {
  return isPart(a, b) || isPart(b, a)
}

const nicknameMin = 3

/** Whether every word of a name stands in the other, or it is the beginning of it. */
function isPart(name: string, other: string): boolean {
  const [small, large] = [name.toLowerCase(), other.toLowerCase()]
  const words = new Set(large.split(' '))
  if (small.split(' ').every((word) => words.has(word))) return true
  return small.length >= nicknameMin && !small.includes(' ') && large.startsWith(small)
}
