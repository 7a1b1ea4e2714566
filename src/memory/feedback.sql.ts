/** Voices on memories: one an agent and memory, and what they come to beside the current version. */
import { fragment, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { Verdict } from './memory.ts'

/** What an agent said of a memory. */
export interface Voice {
  readonly id: string
  readonly agent: string
  readonly verdict: Verdict
  readonly givenAt: Date
}

/** Sets voices; one of the same agent on the same memory gives way. Primary key. */
export async function putVoices(tx: NamespaceTransaction, voices: readonly Voice[]): Promise<void> {
  if (voices.length === 0) return
  await tx`
    insert into feedback (namespace, id, agent, verdict, given_at)
    select ${tx.namespace}::bigint, v.* from unnest(
      ${voices.map((voice) => voice.id)}::uuid[], ${voices.map((voice) => voice.agent)}::text[],
      ${voices.map((voice) => voice.verdict)}::text[],
      ${voices.map((voice) => voice.givenAt)}::timestamptz[]) as v
    on conflict (namespace, id, agent)
      do update set verdict = excluded.verdict, given_at = excluded.given_at`
}

/**
 * What the voices on some memories come to, from -1 to 1 and 0 without any, written beside their current versions:
 * each half as much again of the rest, so that no number of them reaches an end. Misleading weighs as much as two
 * that helped. Returns the largest number of voices on one of them.
 */
export async function countVoices(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<number> {
  if (ids.length === 0) return 0
  const [row] = await tx<{ most: number }>`
    with spoken as (
      select w.id, count(f.id)::int as voices, coalesce(sum(
        case f.verdict when 'helpful' then 1 when 'stale' then -1 when 'wrong' then -2 end), 0)::real as sum
      from unnest(${ids}::uuid[]) as w (id)
      left join feedback f on f.namespace = ${tx.namespace} and f.id = w.id group by w.id),
    heard as (select s.id, s.voices, (s.sum / (abs(s.sum) + 2))::real as feedback from spoken s),
    written as (
      update memories m set feedback = h.feedback from heard h
      where m.namespace = ${tx.namespace} and m.id = h.id and m.is_current
        and m.feedback <> h.feedback)
    select coalesce(max(h.voices), 0) as most from heard h`
  return row?.most ?? 0
}

/** All of some memories, by id and agent. Primary key. */
export async function listVoices(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<Voice[]> {
  const rows = await tx<{ id: string; agent: string; verdict: Verdict; given_at: Date }>`
    select f.id, f.agent, f.verdict, f.given_at from feedback f
    where f.namespace = ${tx.namespace} and f.id = any(${ids}::uuid[]) order by f.id, f.agent`
  return rows.map(({ given_at: givenAt, ...row }) => ({ ...row, givenAt }))
}

/** They were on words that the memory no longer says. Primary key. */
export async function dropVoices(tx: NamespaceTransaction, id: string): Promise<void> {
  await tx`delete from feedback f where f.namespace = ${tx.namespace} and f.id = ${id}::uuid`
}

/** Part of a removal, for the CTE `gone` of remove.sql.ts; as `deleteMemoryKeys`. */
export function deleteVoices(tx: NamespaceTransaction): SqlFragment {
  return fragment`
    delete from feedback f where f.namespace = ${tx.namespace} and f.ctid = any(array(
      select q.place from (select distinct g.id from gone g) g cross join lateral (
        select q.ctid as place from feedback q
        where q.namespace = ${tx.namespace} and q.id = g.id
        offset 0) q))`
}
