/**
 * The door of the store: what a text may not bring in is taken out before anything is derived from it, so no
 * term, vector, key, name or hash is ever made of it. Every way in passes here (store, import); pure but for turns.
 */
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { DoorPolicy, PrepareContext } from '../operation.ts'
import { findPersonal } from '../pipeline/personal.ts'
import { findSecrets, withoutOverlaps, type Finding } from '../pipeline/secrets.ts'
import { findSkipped } from '../pipeline/skipped.ts'
import type { MemoryInput } from './derive.ts'
import {
  contentBytesMax,
  labelBytesMax,
  metadataBytesMax,
  rawContentBytesMax,
  retireReasonBytesMax,
  sourceUrlMax,
} from './memory.ts'

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
  const admitted = pass(policy, input, path)
  const { content } = admitted.input
  for (const [field, bytesMax] of tooLong(admitted.input)) {
    const message = `it is longer than ${bytesMax} bytes with its secrets replaced; split it`
    throw refusal(path, field, message)
  }
  if (content.replaceAll(skippedMark, '').trim() === '') {
    throw refusal(path, 'content', 'nothing is left to keep outside #skip … #endskip')
  }
  return admitted
}

/**
 * The same of what is stored already. It cannot be refused any more: what would be is replaced, and where markers
 * make a text too long they are short ones.
 */
export function admitStored({ credentials, personal }: DoorPolicy, input: MemoryInput): Admitted {
  const policy: DoorPolicy = {
    credentials: credentials === 'refuse' ? 'redact' : credentials,
    personal: personal === 'refuse' ? 'redact' : personal,
  }
  const admitted = pass(policy, input, '')
  const long = tooLong(admitted.input)
  return long.length === 0
    ? admitted
    : pass(policy, input, '', new Set(long.map(([field]) => field)))
}

/** `short`: fields whose markers are no longer than what they stand for. */
function pass(
  policy: DoorPolicy,
  input: MemoryInput,
  path: string,
  short: ReadonlySet<string> = new Set(),
): Admitted {
  const door = openDoor(policy, path, short)
  const { content, raw_content: raw, tags, metadata, session, speaker } = input
  const { source_url: url, retire_reason: reason } = input
  const admitted: MemoryInput = {
    ...input,
    content: door.text('content', content),
    ...(raw !== undefined && { raw_content: door.text('raw_content', raw) }),
    ...(tags && { tags: tags.map((tag) => asLabel(door.text('tags', tag))) }),
    ...(session !== undefined && { session: asLabel(door.text('session', session)) }),
    ...(speaker !== undefined && { speaker: asLabel(door.text('speaker', speaker)) }),
    ...(url !== undefined && { source_url: door.text('source_url', url, urlMarker) }),
    ...(reason !== undefined && { retire_reason: door.text('retire_reason', reason) }),
    ...(metadata && { metadata: door.json('metadata', metadata) }),
  }
  return { input: admitted, found: door.found() }
}

const limits = [
  ['content', contentBytesMax],
  ['raw_content', rawContentBytesMax],
  ['source_url', sourceUrlMax],
  ['retire_reason', retireReasonBytesMax],
  ['metadata', metadataBytesMax],
] as const

/** Fields that their markers made longer than they may be, each with its limit. */
function tooLong(input: MemoryInput): (typeof limits)[number][] {
  return limits.filter(([field, bytesMax]) => {
    const value = input[field] ?? ''
    return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value)) > bytesMax
  })
}

/** Where a passage was that is not kept. */
const skippedMark = '[skipped]'
type Marker = (kind: string) => string
const textMarker: Marker = (kind) => (kind === 'skipped' ? skippedMark : `[redacted: ${kind}]`)
/** An address stays one. */
const urlMarker: Marker = (kind) => (kind === 'skipped' ? 'skipped' : `redacted-${kind}`)
/** Nothing that is found is shorter (an address's password has three characters or more). */
const shortMarker: Marker = () => '***'

interface Door {
  text(field: string, text: string, marker?: Marker): string
  json(field: string, value: Readonly<Record<string, unknown>>): Record<string, unknown>
  found(): FoundAtDoor[]
}

function openDoor(policy: DoorPolicy, path: string, short: ReadonlySet<string>): Door {
  const counts = new Map<string, FoundAtDoor>()
  const note = (kind: string, action: FoundAtDoor['action']): void => {
    const key = `${action} ${kind}`
    counts.set(key, { kind, action, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  /** `labels`: what stands before the text, such as the key of a value, and may tell what it is. */
  const text = (field: string, given: string, long = textMarker, labels = ['']): string => {
    const marker = short.has(field) ? shortMarker : long
    const skipped = findSkipped(given)
    for (const { kind } of skipped) note(kind, 'skipped')
    const kept = replace(given, skipped, marker)
    const secrets = policy.credentials === 'allow' ? [] : secretsAfter(labels, kept)
    const persons = policy.personal === 'allow' ? [] : apartFrom(findPersonal(kept), secrets)
    const gone: Finding[] = []
    for (const [what, action, findings] of [
      ['credentials', policy.credentials, secrets],
      ['personal data', policy.personal, persons],
    ] as const) {
      const [first] = findings
      if (first && action === 'refuse') {
        throw refusal(
          path,
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
  /** `labels`: the keys that lead to it, the next one last. */
  const value = (field: string, given: unknown, labels: string[]): unknown => {
    if (typeof given === 'string') return text(field, given, textMarker, labels)
    if (typeof given === 'number') {
      const written = String(given)
      const kept = text(field, written, textMarker, labels)
      return kept === written ? given : kept
    }
    if (Array.isArray(given)) return given.map((item) => value(field, item, labels))
    if (typeof given !== 'object' || given === null) return given
    return json(field, Object.entries(given), labels)
  }
  const json = (
    field: string,
    entries: readonly (readonly [string, unknown])[],
    labels: string[],
  ) => {
    const kept = new Map<string, unknown>()
    for (const [key, inner] of entries) {
      const name = text(field, key)
      // Two keys may have become one; where there is no room for a longer one, the last value stays.
      const free = kept.has(name) && !short.has(field) ? `${name} ${kept.size + 1}` : name
      kept.set(free, value(field, inner, [...labels, `${key}: `]))
    }
    return Object.fromEntries(kept)
  }
  return {
    text,
    json: (field, given) => json(field, Object.entries(given), []),
    found: () => [...counts.values()],
  }
}

/** Credentials in a text, also those that one of the labels before it makes one. */
function secretsAfter(labels: readonly string[], text: string): Finding[] {
  return withoutOverlaps(
    labels.flatMap((label) => shifted(findSecrets(label + text), label.length)),
  )
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

/** Says the place and the kind, never the value. */
function refusal(path: string, field: string, message: string): AppError {
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
