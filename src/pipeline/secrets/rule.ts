/** The shape of a rule: what a kind of credential looks like. Types alone. */

export interface Rule {
  /** Named in markers, answers and counts: lower case words with hyphens. */
  readonly kind: string
  /** One of these stands in every text that holds one (compared in lower case when `anyCase`). */
  readonly hints: readonly string[]
  /** Global; a group named `secret` is the part to replace, else the whole match is. */
  readonly pattern: RegExp
  readonly anyCase?: true
  /** Looks at the secret part and at where it stands; undefined: the pattern is enough. */
  readonly accepts?: (secret: string, text: string, at: number) => boolean
}
