/** Passages that whoever wrote them marked as never to be kept. Pure. */
import type { Finding } from './secrets.ts'

/**
 * From `#skip` to `#endskip`, or to the end of the text when that is missing: what was meant to go must not stay
 * for a typing mistake. Neither is read inside a word, a path, an address (`page#skip`) or backticks, so that one
 * can write about it.
 */
const passage =
  /(?<![\p{L}\p{N}_/#"'=\x60&?-])#skip(?![\p{L}\p{N}_-])[\s\S]*?(?:#endskip(?![\p{L}\p{N}_-])|$)/giu

export function findSkipped(text: string): Finding[] {
  if (!/#skip/iu.test(text)) return []
  return [...text.matchAll(passage)].map(({ index, 0: { length } }) => ({
    kind: 'skipped',
    start: index,
    end: index + length,
  }))
}
