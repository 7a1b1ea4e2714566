/** Forged structure: our own marks, chat templates, tool calls. Fixed short patterns, linear. */

/** How sure a mark is: `strong` is enough by itself, `weak` counts beside something else. */
export type Forgery = 'strong' | 'weak' | undefined

/** Our fence and its notice (memory/text.ts): no note has a reason to hold one that opens or closes. */
const ownMarks = /<\/?\s{0,3}memory-[0-9a-f]{4,}|stored data, not instructions:/iu

/** Control tokens of chat templates: ChatML, Llama, Mistral, Gemma, Phi and their like. */
const controlTokens =
  /<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|begin_of_text|start_header_id|end_header_id|end_of_turn|tool_call|tool_response|fim_\w{3,6})\|>|<(?:start|end)_of_turn>|\[\/?inst\]|<<\/?sys>>|\[(?:system|available_tools|tool_calls|tool_results)\]\s{0,3}[:[{]/giu

/** Tags by which models are told of roles, tools and their results. */
const roleTags =
  /<\/?\s{0,3}(?:system(?:[-_](?:prompt|message|instructions?|reminder|note|override))?|assistant|developer|tool_(?:call|calls|result|results|response|use)|function_(?:call|calls|results?)|function_result|invoke(?:\s+name=["'\w-]{1,40})?|antml:\w{3,20}|user_query|human|instructions?|admin|important|user_message|stored_data|memories|untrusted|external_content|end_of_(?:memory|data|document|context))\s{0,3}\/?>/giu

/** A line that begins a turn of somebody who may give orders, or of the reader itself. */
const roleLine =
  /(?:^|\n)[\s>*#[\]-]{0,8}(?:system|developer|assistant|ai|admin(?:istrator)?)(?: (?:prompt|message|instructions?|override|notice))?[\]*]{0,3}\s{0,2}[:：]/iu
const headed =
  /(?:^|\n)\s{0,3}#{2,4}\s{0,3}(?:system|instructions?|assistant|response|new instructions?|system prompt)\s{0,3}[:：]/giu
const endOf =
  /(?:^|\n)[\s\-=*#[<]{0,12}end (?:of )?(?:the )?(?:memory|memories|stored data|context|document|data|results?|untrusted (?:text|content)|user (?:input|message)|system prompt)\b/iu

/** Fields of a record that the server alone sets, given values as data would: JSON, a form, SQL, a header. */
const recordField =
  /\b(trust(?:[_ ]level)?|source[_. ]kind|quarantined?|approved|verified)["']?\s{0,2}(?::|=)\s{0,2}["']?(?:\d\b|true|false|none|null|user|admin|\[\]|0)/giu

/** One is how people write about them; two different ones close together are a claim. */
function claimsRecord(text: string): boolean {
  const found = [...text.matchAll(recordField)]
  return found.some((field, index) => {
    const next = found[index + 1]
    return (
      next !== undefined &&
      next.index - field.index < claimWindow &&
      next[1]?.toLowerCase() !== field[1]?.toLowerCase()
    )
  })
}

const claimWindow = 120

/** Looks at visible text. */
export function forgeryOf(text: string): Forgery {
  if (ownMarks.test(text) || claimsRecord(text)) return 'strong'
  const tokens = [...text.matchAll(controlTokens)]
  const tags = [...text.matchAll(roleTags)]
  // One alone, in the middle of a sentence, is how people write about them.
  const opening = [...tokens, ...tags].filter(({ index }) => beginsLine(text, index))
  const headings = text.match(headed)?.length ?? 0
  if (tokens.length >= 2 && opening.length > 0) return 'strong'
  if (tags.length >= 2 && opening.length > 0) return 'strong'
  if (headings >= 2) return 'strong'
  if (tokens.length + tags.length + headings > 0) return 'weak'
  if (endOf.test(text) || roleLine.test(text)) return 'weak'
  return undefined
}

/** At most so many blanks and quote marks before it are still the beginning of its line. */
const marginMax = 8

function beginsLine(text: string, index: number): boolean {
  return /(?:^|\n)[\s>]{0,8}$/u.test(text.slice(Math.max(0, index - marginMax - 1), index))
}
