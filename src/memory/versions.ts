/** A new version in the place of a memory's newest one: what editing, retiring and restoring have in common. */
import { AppError } from '../errors.ts'
import { renumberMentions } from '../graph/graph.sql.ts'
import type { CommitContext, PrepareContext, Touched } from '../operation.ts'
import { touchedBy } from './audience.ts'
import { dedupeKeyOf, insertPrepared, readerList, seenOf, type PreparedMemory } from './insert.ts'
import { countVoices, dropVoices } from './feedback.sql.ts'
import { findByDedupeKeys } from './memories.sql.ts'
import { packTerms, unpackTerms } from './packed.ts'
import { historyTerm, renumberPostings, turnPostings } from './postings.sql.ts'
import { removeMemories } from './remove.ts'
import { normalTrust, sourceOf } from './trust.ts'
import { markVectors, renumberVector } from './vectors.ts'
import {
  changeAccess,
  lockNewest,
  shareLife,
  supersedeVersion,
  versionPlaces,
  type BaseRow,
} from './versions.sql.ts'

/** Versions that a memory has at most; one that changes more often is no memory but a counter. */
export const versionsMax = 1_000

/** A version made ready outside the transaction, from what was read there. */
export interface Draft {
  /** The newest version when the draft was made. */
  readonly base: BaseRow
  readonly item: PreparedMemory
  /** True when it says what the version before it says: what was said of that one holds of it. */
  readonly keepsWords: boolean
  /** Numbers for the versions that are there, oldest first, when they change into the other number space. */
  readonly moved: readonly number[] | undefined
}

/** Same text whether it never was, is another's, is quarantined or has expired. */
export function noSuchMemory(): AppError {
  return new AppError('not_found', 'There is no such memory for you.')
}

/** Who lost the race, or holds an old version, reads it again: nothing is overwritten unseen. */
function conflict(version: number): AppError {
  return new AppError(
    'conflict',
    `This memory was changed meanwhile: it is at version ${version}. Read it again and repeat with expected_version ${version}.`,
    { details: { version } },
  )
}

/**
 * Throws `insufficient_scope` when the channel may not take a memory's place: what is believed less never
 * replaces what is believed more, and what nobody here answers for replaces nothing.
 */
export function requireStanding({ principal }: PrepareContext, base: BaseRow): void {
  const { trust } = sourceOf(principal.channel)
  if (trust >= base.trust && trust >= normalTrust) return
  throw new AppError(
    'insufficient_scope',
    `This memory is trusted at ${base.trust}, what comes this way at ${trust}. Store your own beside it, or let the person change it from the command line.`,
  )
}

/** The newest version, locked and as the caller expects it. Throws `not_found` or `conflict`. */
export async function lockExpected(
  { tx }: CommitContext,
  id: string,
  expected: number | undefined,
): Promise<BaseRow> {
  const newest = await lockNewest(tx, id)
  if (!newest) throw noSuchMemory()
  if (expected !== undefined && newest.version !== expected) throw conflict(newest.version)
  return newest
}

/** Writes the draft; returns who may be told. Throws `conflict` when the memory is not as it was read. */
export async function writeVersion(
  context: CommitContext,
  draft: Draft,
  expected: number | undefined,
): Promise<readonly Touched[]> {
  const { tx } = context
  const { base, item } = draft
  const newest = await lockExpected(context, base.id, expected)
  if (!isSame(newest, base)) throw conflict(newest.version)
  await requireOwnWords(context, item)
  const document = changesAccess(base, item) ? await moveAccess(context, draft) : newest.document
  await supersede(context, newest, document)
  if (!draft.keepsWords) await dropVoices(tx, base.id)
  const inserted = await context.stage('insert', () => insertPrepared(context, [item]))
  if (inserted.length === 0) throw conflict(newest.version)
  // Counted now: somebody may have spoken since the draft was made.
  if (draft.keepsWords) await countVoices(tx, [base.id])
  await shareLife(tx, base.id, {
    expiresAt: item.derived.expiresAt,
    pinnedAt: item.origin?.pinnedAt ?? null,
  })
  return touchedBy([newest, seenOf(context, item)])
}

/** Nothing changed in between, also nothing that makes no version: approval, pin, access. */
function isSame(newest: BaseRow, base: BaseRow): boolean {
  return (
    newest.version === base.version &&
    newest.trust === base.trust &&
    newest.access === base.access &&
    newest.document === base.document &&
    newest.pinned_at?.getTime() === base.pinned_at?.getTime() &&
    newest.expires_at?.getTime() === base.expires_at?.getTime()
  )
}

/** Two live memories never say the same of the same session, to the same readers. */
async function requireOwnWords({ tx }: CommitContext, item: PreparedMemory): Promise<void> {
  if (item.origin?.validTo) return
  const rows = (await findByDedupeKeys(tx, [dedupeKeyOf(item)])).filter((row) => row.id !== item.id)
  const expired = rows.filter((row) => row.expired).map((row) => row.id)
  if (expired.length > 0) await removeMemories(tx, expired)
  const holder = rows.find((row) => !row.expired)
  if (!holder) return
  throw new AppError(
    'conflict',
    `The memory ${holder.id} says exactly this already. Retire or forget one of the two.`,
    { details: { id: holder.id } },
  )
}

/** Whether the draft gives its memory other readers. */
export function changesAccess(base: BaseRow, { input }: PreparedMemory): boolean {
  const readers = readerList(input.allowed_agents)
  return input.access !== base.access || JSON.stringify(readers) !== JSON.stringify(base.readers)
}

/**
 * Access is a memory's, so every version gets it, or its history would stay with the old readers. Derived
 * rows of a private version are visible beside their memory alone: they move while it is not private.
 * Returns the number of the newest version.
 */
async function moveAccess(context: CommitContext, { base, item, moved }: Draft): Promise<number> {
  const { tx } = context
  const places = await versionPlaces(tx, base.id)
  if (moved && moved.length !== places.length) throw conflict(base.version)
  const numbered = places.map((place, index) => ({
    ...place,
    to: moved?.[index] ?? place.document,
  }))
  const change = () =>
    changeAccess(tx, base.id, {
      access: item.input.access ?? 'shared',
      readers: readerList(item.input.allowed_agents),
      documents: numbered.map(({ version, to }) => ({ version, document: to })),
    })
  const renumber = async () => {
    for (const { document: from, to, terms, tag_terms: tags, entities } of numbered) {
      if (from === to) continue
      const words = [...unpackTerms(terms), ...unpackTerms(tags)]
      await renumberPostings(tx, { document: from, terms: words }, to)
      await renumberMentions(tx, unpackTerms(entities), { from, to })
      await renumberVector(tx, { from, to })
    }
  }
  if (item.input.access === 'private') {
    await change()
    await renumber()
  } else {
    await renumber()
    await change()
  }
  return numbered.find(({ version }) => version === base.version)?.to ?? base.document
}

/** Makes the newest version history: its words and its vector leave what every question searches. */
async function supersede({ tx }: CommitContext, newest: BaseRow, document: number): Promise<void> {
  const terms = unpackTerms(newest.terms)
  const held = newest.valid_to === null
  const turned = held ? packTerms(terms.map(historyTerm)) : newest.terms
  await supersedeVersion(tx, newest, turned)
  if (!held) return
  await turnPostings(tx, [{ document, terms }])
  await markVectors(tx, [document])
}
