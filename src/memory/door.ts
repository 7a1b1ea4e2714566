/**
 * The door of the store: what a text may not bring in is taken out before anything is derived from it, so no
 * term, vector, key, name or hash is ever made of it. Every way in passes here (store, import); pure but for turns.
 */
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { DoorPolicy, PrepareContext } from '../operation.ts'
import { findPersonal } from '../pipeline/personal.ts'
import { findSecrets, type Finding } from '../pipeline/secrets.ts'
import { findSkipped } from '../pipeline/skipped.ts'
import type { MemoryInput } from './derive.ts'
import { contentBytesMax, labelBytesMax, metadataBytesMax, rawContentBytesMax } from './memory.ts'

/** What was found in one memory: kinds and counts, never the value. */
export const foundAtDoor = z.object({
  kind: z.string().describe('Such as github-token or email'),
  count: z.int(),
  action: z
    .enum(['redacted', 'flagged', 'skipped'])
    .describe(
      'redacted: replaced by a marker; flagged: kept; skipped: was between #skip and #endskip',
    ),
})
export type FoundAtDoor = z.output<typeof foundAtDoor>

export interface Admitted {
  readonly input: MemoryInput
  readonly found: readonly FoundAtDoor[]
}

/** The process looks at texts at most this long before its other requests get their turn. */
const turnMs = 20

/**
 * Admits a batch in turns. `pathOf` names the place of an item in the request. Throws AppError `invalid_input`
 * when the policy refuses what one of them holds; then none is stored.
 */
export async function admitAll(
  { settings, signal }: Pick<PrepareContext, 'settings' | 'signal'>,
  inputs: readonly MemoryInput[],
  pathOf: (index: number) => string,
): Promise<Admitted[]> {
  const admitted: Admitted[] = []
  let turnEndsAt = performance.now() + turnMs
  for (const [index, input] of inputs.entries()) {
    admitted.push(admit(settings.door, input, pathOf(index)))
    if (performance.now() < turnEndsAt) continue
    await setImmediate()
    signal.throwIfAborted()
    turnEndsAt = performance.now() + turnMs
  }
  return admitted
}

/** Takes out of every text of a memory what the policy does not let in. Throws as `admitAll` does. */
export function admit(policy: DoorPolicy, input: MemoryInput, path = ''): Admitted {
  const door = openDoor(policy, path)
  const { content, raw_content: raw, tags, metadata, session, speaker, source_url: url } = input
  const admitted: MemoryInput = {
    ...input,
    content: within(door.text('content', content), contentBytesMax, door, 'content'),
    ...(raw !== undefined && {
      raw_content: within(door.text('raw_content', raw), rawContentBytesMax, door, 'raw_content'),
    }),
    ...(tags && { tags: tags.map((tag) => asLabel(door.text('tags', tag))) }),
    ...(session !== undefined && { session: asLabel(door.text('session', session)) }),
    ...(speaker !== undefined && { speaker: asLabel(door.text('speaker', speaker)) }),
    ...(url !== undefined && { source_url: door.text('source_url', url, urlMarker) }),
    ...(metadata && { metadata: door.json('metadata', metadata) }),
  }
  if (Buffer.byteLength(JSON.stringify(admitted.metadata ?? {})) > metadataBytesMax) {
    throw tooLong(door, 'metadata', metadataBytesMax)
  }
  if (admitted.content.replaceAll(skippedMark, '').trim() === '') {
    throw refusal(door, 'content', 'nothing is left to keep outside #skip … #endskip')
  }
  return { input: admitted, found: door.found() }
}

/** Where a passage was that is not kept. */
const skippedMark = '[skipped]'
type Marker = (kind: string) => string
const textMarker: Marker = (kind) => (kind === 'skipped' ? skippedMark : `[redacted: ${kind}]`)
/** An address stays one. */
const urlMarker: Marker = (kind) => (kind === 'skipped' ? 'skipped' : `redacted-${kind}`)

interface Door {
  readonly path: string
  text(field: string, text: string, marker?: Marker): string
  json(field: string, value: Readonly<Record<string, unknown>>): Record<string, unknown>
  found(): FoundAtDoor[]
}

function openDoor(policy: DoorPolicy, path: string): Door {
  const counts = new Map<string, FoundAtDoor>()
  const note = (kind: string, action: FoundAtDoor['action']): void => {
    const key = `${action} ${kind}`
    counts.set(key, { kind, action, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  /** `label`: what stands before the text, such as the key of a value, and tells what it is. */
  const text = (field: string, given: string, marker = textMarker, label = ''): string => {
    const skipped = findSkipped(given)
    for (const { kind } of skipped) note(kind, 'skipped')
    const kept = replace(given, skipped, marker)
    const looked = label + kept
    const secrets = policy.credentials === 'allow' ? [] : shifted(findSecrets(looked), label.length)
    const persons = policy.personal === 'allow' ? [] : apartFrom(findPersonal(kept), secrets)
    const gone: Finding[] = []
    for (const [what, action, findings] of [
      ['credentials', policy.credentials, secrets],
      ['personal data', policy.personal, persons],
    ] as const) {
      const [first] = findings
      if (first && action === 'refuse') {
        throw refusal(
          { path },
          field,
          `it holds ${first.kind}, and this namespace keeps no ${what}; take it out, or put it between #skip and #endskip`,
        )
      }
      for (const { kind } of findings) note(kind, action === 'redact' ? 'redacted' : 'flagged')
      if (action === 'redact') gone.push(...findings)
    }
    return replace(
      kept,
      gone.toSorted((a, b) => a.start - b.start),
      marker,
    )
  }
  const value = (field: string, given: unknown, label: string): unknown => {
    if (typeof given === 'string') return text(field, given, textMarker, label)
    if (typeof given === 'number') {
      const written = String(given)
      const kept = text(field, written, textMarker, label)
      return kept === written ? given : kept
    }
    if (Array.isArray(given)) return given.map((item) => value(field, item, label))
    return typeof given === 'object' && given !== null ? json(field, Object.entries(given)) : given
  }
  const json = (field: string, entries: readonly (readonly [string, unknown])[]) => {
    const kept = new Map<string, unknown>()
    for (const [key, inner] of entries) {
      const name = text(field, key)
      // Two keys may have become one.
      const free = kept.has(name) ? `${name} ${kept.size + 1}` : name
      kept.set(free, value(field, inner, `${key}: `))
    }
    return Object.fromEntries(kept)
  }
  return {
    path,
    text,
    json: (field, given) => json(field, Object.entries(given)),
    found: () => [...counts.values()],
  }
}

/** What a text becomes; `findings` are in order and apart. */
function replace(text: string, findings: readonly Finding[], marker: Marker): string {
  let replaced = ''
  let at = 0
  for (const { kind, start, end } of findings) {
    replaced += text.slice(at, start) + marker(kind)
    at = end
  }
  return replaced + text.slice(at)
}

/** By the text without its label; what begins in the label is of the label. */
function shifted(findings: readonly Finding[], by: number): Finding[] {
  return findings
    .filter(({ end }) => end > by)
    .map(({ kind, start, end }) => ({ kind, start: Math.max(0, start - by), end: end - by }))
}

function apartFrom(findings: readonly Finding[], others: readonly Finding[]): Finding[] {
  return findings.filter(({ start, end }) =>
    others.every((other) => end <= other.start || start >= other.end),
  )
}

/** Markers may be longer than what they stand for; a label stays one, cut between characters. */
function asLabel(text: string): string {
  if (Buffer.byteLength(text) <= labelBytesMax) return text
  let end = 0
  let bytes = 0
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > labelBytesMax) break
    end += character.length
  }
  return text.slice(0, end)
}

function within(text: string, bytesMax: number, door: Pick<Door, 'path'>, field: string): string {
  if (Buffer.byteLength(text) > bytesMax) throw tooLong(door, field, bytesMax)
  return text
}

function tooLong(door: Pick<Door, 'path'>, field: string, bytesMax: number): AppError {
  return refusal(
    door,
    field,
    `it is longer than ${bytesMax} bytes with its secrets replaced; split it`,
  )
}

/** Says the place and the kind, never the value. */
function refusal({ path }: Pick<Door, 'path'>, field: string, message: string): AppError {
  const where = `${path}${field}`
  return new AppError('invalid_input', `Invalid arguments: ${where}: ${message}.`, {
    details: { issues: [{ path: where, message }] },
  })
}

/** Counts over a batch, for the audit log and the command line. */
export function countFound(items: readonly Pick<Admitted, 'found'>[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind, action, count } of items.flatMap(({ found }) => found)) {
    const key = kind === 'skipped' ? kind : `${action}:${kind}`
    counts[key] = (counts[key] ?? 0) + count
  }
  return counts
}
