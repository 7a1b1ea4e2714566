/** The words by which date-direction.ts tells past from future. */

/** Verbs and words of a sentence that show whether it tells of what was or of what is to come. */
interface Signs {
  readonly future: RegExp
  readonly past: RegExp
}

/** By locale. A word in both lists looks ahead ("is scheduled"). Languages without signs keep the nearest date. */
export const signs: Readonly<Record<string, Signs>> = {
  // The present perfect shuns a date of the past: "I've closed it in August" is to come.
  en: {
    future: /\b(?:will|won't|shall|(?:should|could|would)(?! have)|must|might|can|needs? to|ha(?:ve|s) to|going to|(?:plan(?:s|ned|ning)?|hop(?:e|es|ed|ing)|intend(?:s|ed)?|decided|agreed|promised|offered|asked|arranged) to|want(?:s|ed)?|gonna|let's|let us|remind(?:er)?|remember to|don't forget|due|deadline|expires?|upcoming|(?:re)?scheduled|postponed|moved to|planned|booked|(?:is|are|am|be)(?: not)?(?: \w+ed\b)?)\b|\w['’](?:ll|re|m)\b|['’]s \w+ing\b|(?:ha(?:ve|s)|['’](?:ve|s)) got\b/giu,
    past: /(?<!(?:ha(?:ve|s)|['’](?:ve|s)) (?:\w+ly |just |already |been )?)\b(?:(?!need|feed|speed|seed|bleed|breed|indeed|proceed|exceed|succeed|hundred|sacred|naked)[a-z]{2,}ed|was|were|wasn't|weren't|did|didn't|had|born|went|met|got|saw|came|took|made|said|told|gave|found|left|felt|thought|knew|began|bought|brought|built|caught|chose|drove|ate|fell|flew|forgot|grew|heard|held|kept|led|lost|paid|ran|rode|rose|sang|sat|sold|sent|shot|slept|spoke|spent|stood|stole|swam|taught|threw|understood|woke|won|wore|wrote|drank|drew|broke|became|froze|shook|hid)\b/giu,
  },
  de: {
    future: /(?<!\p{L})(?:wird|werden|werde|muss|müssen|soll(?:en)?|will|wollen|möchte|kann|können|bis|spätestens|fällig|erinner\p{L}*|bitte|nicht vergessen|ist|sind)(?!\p{L})/giu,
    past: /(?<!\p{L})(?:war(?:en)?|hatten?|wurden?|gingen?|ging|kam(?:en)?|traf(?:en)?|sah(?:en)?|gab|(?!gehen|geben|gegen|gestern|genau|gern|gesund|gerade|gelten)ge\p{L}{2,}(?:t|en)|\p{L}{3,}(?:iert|ierte)|besucht|bekommen|verkauft|verloren)(?!\p{L})/giu,
  },
  fr: {
    future: /(?<!\p{L})(?:vais|va|allons|allez|vont|doi[st]|devons|faut|avant|jusqu\p{L}*|d.ici|rappel\p{L}*|n.oublie\p{L}*|est|sont|\p{L}{2,}r(?:ai|as|a|ons|ez|ont))(?!\p{L})/giu,
    past: /(?<!\p{L})(?:(?:ai|as|a|avons|avez|ont|suis|est|sommes|sont) \p{L}+(?:é|ée|és|ées|i|u|us|it|is)|étai\p{L}+|avai\p{L}+|allé\p{L}*|eu)(?!\p{L})/giu,
  },
  es: {
    future: /(?<!\p{L})(?:(?:voy|vas|va|vamos|van) a|teng\p{L}+ que|tien\p{L}+ que|hay que|deb\p{L}{1,4}|antes del?|hasta|recuérda\p{L}+|recordar|es|será|\p{L}{2,}r(?:é|ás|á|emos|án))(?!\p{L})/giu,
    past: /(?<!\p{L})(?:fui|fue|fuimos|fueron|era|estaba|estuv\p{L}+|tuv\p{L}+|hic\p{L}+|hizo|vi|vimos|dij\p{L}+|\p{L}{2,}(?:é|ó|aron|ieron|amos|imos|aba))(?!\p{L})/giu,
  },
  pt: {
    future: /(?<!\p{L})(?:vou|vai|vamos|vão|tenho que|tem que|preciso|dev\p{L}{1,4}|até|antes|lembr\p{L}+|é|será|\p{L}{2,}r(?:ei|á|emos|ão))(?!\p{L})/giu,
    past: /(?<!\p{L})(?:fui|foi|fomos|foram|era|estava|estiv\p{L}+|tive|fiz|fez|vi|\p{L}{2,}(?:ei|ou|aram|eram|iram|amos|ava))(?!\p{L})/giu,
  },
  it: {
    future: /(?<!\p{L})(?:devo|deve|dobbiamo|devono|entro|fino|ricorda\p{L}*|vado|andiamo|è|\p{L}{2,}r(?:ò|à|emo|anno))(?!\p{L})/giu,
    past: /(?<!\p{L})(?:(?:ho|ha|hai|abbiamo|hanno|sono|è|siamo) \p{L}+(?:to|ta|ti|te|so|sto)|ero|era|erano|andat[oaie])(?!\p{L})/giu,
  },
  nl: {
    future: /(?<!\p{L})(?:zal|zullen|moet|moeten|wil|gaat?|gaan|uiterlijk|tot|voor|herinner|vergeet niet|is|zijn)(?!\p{L})/giu,
    past: /(?<!\p{L})(?:was|waren|had|hadden|ging(?:en)?|kwam(?:en)?|(?!geen|gedurende|gegevens)ge\p{L}{2,}(?:d|t|en)|ontmoette\p{L}*|bezocht)(?!\p{L})/giu,
  },
  ru: {
    future: /(?<!\p{L})(?:буд\p{L}+|надо|нужно|должн\p{L}+|до|напомни\p{L}*|не забудь\p{L}*|план\p{L}+|\p{L}{2,}(?:им|ем|ёт|ет|ит))(?!\p{L})/giu,
    past: /(?<!\p{L})\p{L}{2,}(?:[аеиоуыя]л[аои]?|л(?:ся|ась|ись))(?!\p{L})/giu,
  },
} // prettier-ignore
