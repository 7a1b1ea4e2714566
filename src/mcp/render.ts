/** Operation output → text for a model. Stored words are fenced as data and cleaned of hidden characters. */
import { fence, hitText, holdsWords, type TextHit } from '../memory/text.ts'
import { recallNotes } from '../memory/budget.ts'
import type { StoreToolOutput } from '../memory/store-tool.ts'
import type { ExportOutput, ForgetOutput, RecallOutput } from './host.ts'

/** Ids listed in the text of a batch; all of them are in the structured answer. */
const idsShownMax = 20

export function renderRecall(output: RecallOutput): string {
  return [hitsText(output.hits ?? output.results), ...recallNotes(output)].join('\n')
}

function hitsText(hits: readonly TextHit[]): string {
  if (hits.length === 0) return 'Nothing was found.'
  const texts = hits.map(hitText)
  return hits.some(holdsWords) ? fence(texts) : texts.join('\n')
}

export function renderStore(output: StoreToolOutput): string {
  const { left_out: left = 0 } = output
  const isChange = output.stored + output.duplicates < output.results.length + left
  const counts = isChange ? 'Done.' : `Stored ${output.stored}, already there ${output.duplicates}.`
  const shown = output.results.slice(0, idsShownMax).map((result) => {
    const until = result.expires_at === undefined ? '' : `, until ${result.expires_at}`
    const held = result.quarantined ? ', quarantined: not recalled until approved' : ''
    const found = (result.found ?? []).map((one) => `, ${one.action}: ${one.count} ${one.kind}`)
    const version = result.version > 1 ? `, version ${result.version}` : ''
    return `- ${result.id} (${[result.status, result.type].filter(Boolean).join(', ')}${version}${until}${held}${found.join('')})`
  })
  const more = output.results.length - shown.length
  return [
    output.replayed ? 'This request was answered before; nothing was stored again.' : counts,
    ...shown,
    ...(more > 0 ? [`- and ${more} more`] : []),
    ...(left > 0
      ? [`${left} more did not fit: recall finds them, or store with a larger max_tokens.`]
      : []),
  ].join('\n')
}

export function renderForget(output: ForgetOutput): string {
  const { matches = [], has_more: hasMore } = output
  const listed = matches.length === 0 ? [] : [hitsText(matches)]
  const more = hasMore === true ? ['More pass than limit lets through: they stay.'] : []
  return [forgetNote(output), ...listed, ...more].join('\n')
}

function forgetNote(output: ForgetOutput): string {
  const { status, memories, versions, confirm_token: token, confirm_before: before } = output
  const size = `${count(memories, 'memory', 'memories')} in ${count(versions, 'version', 'versions')}`
  const notes = [
    output.missing ? ` Not there: ${output.missing}.` : '',
    output.changed ? ` Changed since they were counted, and kept: ${output.changed}.` : '',
    output.past
      ? ` Of ${output.past} more only an older version passes: include_history takes them too.`
      : '',
  ].join('')
  if (status === 'forgotten') return `Forgotten for good: ${size}.${notes}`
  if (status === 'dry_run') return `Nothing was forgotten. It would be ${size}.${notes}`
  if (token === undefined) {
    return `Nothing was forgotten: it was not confirmed. It would be ${size}.${notes}`
  }
  return (
    `Nothing is forgotten yet. This would forget ${size} for good.${notes} Ask the person first; ` +
    `if they agree, call forget with only confirm_token "${token}" before ${before ?? 'it expires'}.`
  )
}

export function renderExport(output: ExportOutput): string {
  const lines = [`${count(output.count, 'memory', 'memories')}, format ${output.format}.`]
  if (output.count > 0) lines.push(fence([output.content]))
  if (output.too_long) {
    lines.push(
      `Too long for max_tokens, and not above: ${output.too_long.join(', ')}. Raise it, or export over REST or at the command line.`,
    )
  }
  lines.push(
    output.next_cursor === undefined
      ? 'This was the last page.'
      : `More: call export with cursor ${output.next_cursor}`,
  )
  return lines.join('\n')
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}
