/** Which memories a brief is made of, by view and section, best first. Pure: outlines in, documents out. */
import type { Theme } from './brief-themes.ts'
import { alikePairs, eachOnce, overlap, type Pair } from './alike.ts'
import type { MemoryType } from './memory.ts'
import type { Outline } from './outlines.sql.ts'

export const briefViews = ['start', 'continue', 'remember', 'review', 'clean_up'] as const
export type BriefView = (typeof briefViews)[number]

/** What a brief is chosen from. */
export interface World {
  readonly now: Date
  /** Newest first. */
  readonly newest: readonly Outline[]
  readonly pinned: readonly Outline[]
  readonly due: readonly Outline[]
  /** Of the asked or the last session, its last memory first. */
  readonly session: readonly Outline[]
  readonly themes: readonly Theme[]
}

/** One line: a memory, or two to be held against each other, the later one first. */
export type Pick = readonly [Outline] | readonly [Outline, Outline]

export interface Section {
  readonly title: string
  /** Part of the budget that is its own; what others leave it may take as well. */
  readonly share: number
  /** Best first. */
  readonly picks: readonly Pick[]
  /** Of one session: its heading says which, and its lines their date only where it differs. */
  readonly isSession?: true
  /** Shown in the order of time, whatever was chosen; else as chosen. */
  readonly isChronological?: true
  /** With ids, where something is to be done about each. */
  readonly hasIds?: true
  /** Each line says how far away its date is. */
  readonly isDated?: true
}

const dayMs = 86_400_000
/** What was told of a day fades by half in so long, and what holds until it is changed in a year. */
const halfLifeMs = 60 * dayMs
const stateHalfLifeMs = 365 * dayMs
/** Overlap of terms above which two lines would say the same. */
const sameMin = 0.5

/** Types that say what holds, not what happened. */
const states: ReadonlySet<MemoryType> = new Set(['fact', 'preference', 'decision', 'procedure'])

/** What is worth knowing unasked: a decision more than a remark. */
const weights: Readonly<Record<MemoryType, number>> = {
  decision: 1,
  preference: 1,
  task: 0.9,
  fact: 0.8,
  procedure: 0.8,
  event: 0.7,
  reference: 0.5,
  note: 0.3,
}

/** How much a line is worth in a brief; `latest` is the time of the newest memory, so that old ones serve too. */
function worth({ type, importance, length, occurredAt }: Outline, latest: number): number {
  const age = Math.max(0, latest - occurredAt.getTime())
  const recency = 0.4 + 0.6 * 0.5 ** (age / (states.has(type) ? stateHalfLifeMs : halfLifeMs))
  // A word or two says nothing alone, and of a long text only the beginning is seen.
  const substance = Math.min(1, length / 8) * (length > 200 ? 0.6 : 1)
  return weights[type] * (0.4 + importance) * recency * substance
}

/** A remark of one term tells nothing out of its place. */
const wordTerms = 1

export function sectionsOf(view: BriefView, world: World): readonly Section[] {
  switch (view) {
    case 'start':
      return startSections(world)
    case 'continue':
      return continueSections(world)
    case 'remember':
      return rememberSections(world)
    case 'review':
      return reviewSections(world)
    case 'clean_up':
      return cleanUpSections(world)
    default:
      return view satisfies never
  }
}

function startSections(world: World): Section[] {
  const { newest, pinned, due, session, themes } = world
  const latest = latestOf(newest)
  const taken = new Taken()
  const sections: Section[] = [
    { title: 'Pinned', share: 0.25, picks: taken.takeAll(pinned) },
    { title: 'Due', share: 0.2, picks: taken.take(due, 10), isDated: true, hasIds: true },
    {
      ...sessionSection,
      share: 0.25,
      picks: taken.take(
        best(session, latest, ({ length }) => length > wordTerms),
        10,
      ),
    },
  ]
  for (const { name, memories } of themes) {
    const telling = best(
      memories,
      latest,
      ({ type, length }) => type !== 'note' && length > wordTerms,
    )
    const picks = taken.take(telling.length > 0 ? telling : best(memories, latest), 6)
    sections.push({ title: `About ${name}`, share: 0.3 / themes.length, picks })
  }
  const inOrder = (type: MemoryType) => best(newest, latest, (outline) => outline.type === type)
  const rules = interleaved([inOrder('decision'), inOrder('preference'), inOrder('procedure')])
  sections.push({
    title: 'Decisions, preferences and ways of working',
    share: 0.2,
    picks: taken.take(rules, 20),
  })
  // Has no share of its own: it fills what the others leave.
  sections.push({ title: 'Also known', share: 0, picks: taken.take(best(newest, latest), 20) })
  return sections
}

/** One of each list in turn. */
function interleaved<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map(({ length }) => length))
  return Array.from({ length: longest }, (_, index) => index).flatMap((index) =>
    lists.flatMap((list) => list.slice(index, index + 1)),
  )
}

const sessionSection = {
  title: 'Last session',
  share: 0.5,
  isSession: true,
  isChronological: true,
} as const

function continueSections({ newest, pinned, due, session }: World): Section[] {
  const latest = latestOf(newest)
  const taken = new Taken()
  const open = session.filter(({ type }) => type === 'task' || type === 'decision')
  return [
    {
      title: 'Decided and to be done',
      share: 0.25,
      picks: taken.take(open, 10),
      isChronological: true,
      hasIds: true,
    },
    // What was said last, not what was most worth saying.
    session.length > 0
      ? { ...sessionSection, picks: taken.take(session, 40) }
      : { ...sessionSection, title: 'Newest', picks: taken.take(newest, 40) },
    { title: 'Due', share: 0.15, picks: taken.take(due, 8), isDated: true, hasIds: true },
    { title: 'Pinned', share: 0.1, picks: taken.takeAll(pinned) },
    {
      title: 'Open tasks of other sessions',
      share: 0.1,
      picks: taken.take(
        best(newest, latest, ({ type }) => type === 'task'),
        6,
      ),
      hasIds: true,
    },
  ]
}

function rememberSections({ newest, pinned, session }: World): Section[] {
  const latest = latestOf(newest)
  const taken = new Taken()
  return [
    {
      ...sessionSection,
      title: 'Kept of this session',
      picks: taken.take(session, 40),
      hasIds: true,
    },
    { title: 'Pinned', share: 0.15, picks: taken.takeAll(pinned), hasIds: true },
    {
      title: 'What holds, to be changed rather than stored again',
      share: 0.5,
      picks: taken.take(
        best(newest, latest, ({ type }) => type !== 'note'),
        30,
      ),
      hasIds: true,
    },
  ]
}

/** Not confirmed for so long, a state may have changed. */
const oldMs = 365 * dayMs

function reviewSections({ now, newest, due }: World): Section[] {
  const pairs = eachOnce(alikePairs(newest).filter(isConflict))
  const taken = new Taken()
  const old = newest.filter(
    ({ type, isPinned, occurredAt }) =>
      states.has(type) && !isPinned && now.getTime() - occurredAt.getTime() > oldMs,
  )
  return [
    {
      title: 'May contradict or repeat each other (the later one first)',
      share: 0.5,
      picks: pairs.slice(0, 12).map(({ later, earlier }) => [later, earlier] as const),
      hasIds: true,
    },
    {
      title: 'Date is past',
      share: 0.25,
      picks: taken.take(due.filter(isOver(now)), 15),
      isDated: true,
      hasIds: true,
    },
    {
      title: 'Said more than a year ago and never since',
      share: 0.25,
      picks: taken.take(best(old, latestOf(newest)), 15),
      hasIds: true,
    },
  ]
}

/** What was said in one breath is no conflict; a state that was told again later may be one. */
function isConflict({ later, earlier }: Pair): boolean {
  const isState = states.has(later.type) || states.has(earlier.type)
  const apart = later.occurredAt.getTime() - earlier.occurredAt.getTime()
  const isOneTalk = later.session !== undefined && later.session === earlier.session
  return isState && !(isOneTalk && apart < dayMs)
}

/** Shared weight from which one of two memories is enough. */
const twiceMin = 0.75
/** Fewer terms than this, and no name, is hardly worth a place. */
const trivialTerms = 4
/** More is a document and not a memory. */
const longTerms = 800

function cleanUpSections({ now, newest, due }: World): Section[] {
  const taken = new Taken()
  const pairs = eachOnce(alikePairs(newest).filter(({ same }) => same >= twiceMin))
  const trivial = newest.filter(
    ({ type, length, entities, isPinned, importance }) =>
      type === 'note' &&
      length <= trivialTerms &&
      entities.length === 0 &&
      !isPinned &&
      importance <= 0.5,
  )
  const ending = newest.filter(
    ({ expiresAt }) => expiresAt !== null && expiresAt.getTime() - now.getTime() < 7 * dayMs,
  )
  const long = newest
    .filter(({ length }) => length > longTerms)
    .toSorted((a, b) => b.length - a.length)
  return [
    {
      title: 'The same twice (the later one first)',
      share: 0.4,
      picks: pairs.slice(0, 20).map(({ later, earlier }) => [later, earlier] as const),
      hasIds: true,
    },
    {
      title: 'Tasks whose date is long past',
      share: 0.25,
      picks: taken.take(due.filter(isOver(new Date(now.getTime() - 14 * dayMs))), 15),
      isDated: true,
      hasIds: true,
    },
    { title: 'Say little', share: 0.2, picks: taken.take(trivial, 20), hasIds: true },
    {
      title: 'Long: documents rather than memories',
      share: 0.1,
      picks: taken.take(long, 8),
      hasIds: true,
    },
    {
      title: 'Go by themselves within a week',
      share: 0.1,
      picks: taken.take(ending, 8),
      hasIds: true,
    },
  ]
}

function isOver(at: Date): (outline: Outline) => boolean {
  return ({ type, eventTo }) => type === 'task' && eventTo !== null && eventTo <= at
}

function latestOf(outlines: readonly Outline[]): number {
  return outlines.reduce((latest, { occurredAt }) => Math.max(latest, occurredAt.getTime()), 0)
}

function best(
  outlines: readonly Outline[],
  latest: number,
  isWanted: (outline: Outline) => boolean = () => true,
): readonly Outline[] {
  const valued = outlines
    .filter(isWanted)
    .map((outline) => ({ outline, value: worth(outline, latest) }))
  return valued.toSorted((a, b) => b.value - a.value).map(({ outline }) => outline)
}

/** Each memory once in a brief, and nothing that says what an earlier line says. */
class Taken {
  readonly #outlines: Outline[] = []

  take(outlines: readonly Outline[], most: number): Pick[] {
    const picks: Pick[] = []
    for (const outline of outlines) {
      if (picks.length === most) break
      if (this.#outlines.some((other) => isSame(outline, other))) continue
      this.#outlines.push(outline)
      picks.push([outline])
    }
    return picks
  }

  /** Whatever else says the same: somebody wanted each of these to be told. */
  takeAll(outlines: readonly Outline[]): Pick[] {
    const known = new Set(this.#outlines.map(({ document }) => document))
    const others = outlines.filter(({ document }) => !known.has(document))
    this.#outlines.push(...others)
    return others.map((outline) => [outline] as const)
  }
}

function isSame(a: Outline, b: Outline): boolean {
  return a.document === b.document || overlap(a.terms, b.terms) > sameMin
}
