/** What kind of memory a text is, by rules on its wording; `note` when none fits. */

/** The types a memory may have; memory.ts lists the same ones for the caller's own choice. */
export type ClassifiedType =
  'fact' | 'preference' | 'event' | 'procedure' | 'decision' | 'task' | 'reference' | 'note'

/** The first lines say what a text is; a long log must not become a task by its last one. */
const charactersMax = 1000

/**
 * First match wins: the more telling the wording, the earlier. English, with the commonest forms of
 * German, Spanish and French; other languages are notes unless the caller says the type.
 */
const rules: readonly (readonly [ClassifiedType, RegExp])[] = [
  ['task', /^\s*(?:[-*] )?(?:\[ \]|to-?do\b|task:|reminder:|action item)|\bTODO\b|\bFIXME\b/i],
  [
    'decision',
    /^\s*(?:decision|adr)\b.{0,20}:|\b(?:we|i|they|team|he|she) (?:have |has )?(?:decided|agreed|chose|settled on|opted|resolved) (?:to|on|that|for|against|not|\w+)|\b(?:it was|we've|has been|was) (?:decided|agreed)\b|\bdecision (?:is|was) to\b|\b(?:beschlossen|entschieden|decidimos|décidé de)\b|\bwe(?:'ll| will) (?:go with|use|adopt|drop|stop using)\b/i,
  ],
  [
    'task',
    /\b(?:remind me|don't forget|do not forget|remember to|needs? to be (?:done|fixed|sent|finished)|must be (?:done|sent|finished) by|due (?:by|on|date|tomorrow|next)|deadline)\b|\b(?:i|we|you) (?:need|have|must|should) (?:to )?(?!be\b|have\b)\w+ .{0,80}\b(?:by|before|until|tomorrow|next|this (?:week|month)|on (?:mon|tues|wednes|thurs|fri|satur|sun)day)\b/i,
  ],
  [
    'procedure',
    /\bhow to\b(?!.*\?)|\bsteps?:|^\s*(?:1[.)]|step 1\b)[\s\S]+\n\s*(?:2[.)]|step 2\b)|\bfirst,? .{3,120}\bthen\b|\bto (?:deploy|install|build|run|reset|restart|release|configure|set up|make|restore|upgrade|log in|connect)\b.{0,60}[,:] |\b(?:run|execute) `[^`]+`|\bprocedure\b|\brecipe:/i,
  ],
  [
    'preference',
    /\b(?:i|we|he|she|they|user|[A-Z]\p{Ll}+)(?:'d| would| really| always| usually| much| strongly| \p{Ll}+ly)* (?:prefers?|loves?|likes?|hates?|dislikes?|enjoys?|adores?|can't stand|cannot stand|don't like|doesn't like|does not like|do not like|rather have|favou?rs?)\b|\b(?:favou?rite|preference|preferred|allergic to|fan of|please (?:always|never)|always (?:use|answer|write|call)|never (?:use|answer|write|call))\b|\b(?:mag (?:kein|lieber|gern)|bevorzug\w+|prefier\w+|me gusta|je préfère|j'aime)(?!\p{L})/iu,
  ],
  [
    'reference',
    /^\s*https?:\/\/\S+\s*$|\b(?:see|docs?|documentation|link|reference|source|manual|spec|repo(?:sitory)?|wiki|dashboard)\b[^.\n]{0,60}https?:\/\/|^\s*(?:reference|link|bookmark|source)s?:|\b(?:RFC|ISBN|doi:)\s?\d/i,
  ],
  [
    'event',
    /\b(?:yesterday|last (?:night|week|weekend|month|year|summer|winter|spring|fall|autumn|(?:mon|tues|wednes|thurs|fri|satur|sun)day)|(?:days?|weeks?|months?|years?|hours?) ago|this (?:morning|afternoon|weekend)|tomorrow|next (?:week|weekend|month|(?:mon|tues|wednes|thurs|fri|satur|sun)day))\b|\b(?:met|went|attended|visited|celebrated|travelled|traveled|happened|took place|held|married|graduated|moved|launched|released|crashed|shipped)\b.{0,80}\b(?:on|in|at) (?:\d|the \d|(?:mon|tues|wednes|thurs|fri|satur|sun)day|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|\b(?:meeting|appointment|party|wedding|birthday|conference|interview|trip|concert) (?:is |was )?(?:on|at|with)\b|\b(?:gestern|letzte woche|ayer|la semana pasada|hier soir|вчера|昨天|昨日)(?!\p{L})/iu,
  ],
  [
    'fact',
    /\b(?:my|his|her|our|their|the|'s|’s)\b[^.!?\n]{1,60}\b(?:is|are|was|were|has|have|costs?|equals?|means?)\b(?! (?:you|it|that)\b)|^\s*[\p{Lu}][^.!?\n]{0,60}\b(?:is|are|has|works? (?:at|for|as|in)|lives? in|was born|speaks|owns|uses|runs on|belongs to|supports|requires)\b|\b(?:i am|i'm|i work|i live|i have|i was born|i speak|i own)\b(?! (?:so|not|very|really|glad|happy|sorry|just|going|trying)\b)/iu,
  ],
]

/** The type of a memory whose caller named none. Questions and greetings are notes. Under 0.1 ms. */
export function classify(text: string): ClassifiedType {
  const head = text.slice(0, charactersMax)
  if (/[?？؟]\s*$/u.test(head)) return 'note'
  return rules.find(([, pattern]) => pattern.test(head))?.[0] ?? 'note'
}
