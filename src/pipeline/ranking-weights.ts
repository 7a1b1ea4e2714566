// The weights of the recall ranking: data only. See docs/decisions/0004-ranking.md.

/**
 * Most that feedback adds or takes, however many speak: half the width of the calibration's curve, so at most an
 * eighth of the score, and two memories change places only where a quarter at most lies between them.
 */
const feedbackWeight = 0.6

/**
 * One weight a feature; what a feature measures stands in ranking-features.ts. Fitted by
 * `node --import ./test/support/typescript-loader.mjs bench/fit-ranking.ts` on bench/dialogues and rounded;
 * own and coverage share what the fit gave coverage alone, so that notes keep BM25's order in languages
 * the dialogues do not speak. latest, recency, importance and feedback are set by hand: the dialogues do not ask for them.
 * So is storedBeside: dialogues without sessions gain by more of it, but notes stored beside strangers begin to lose.
 */
export const rankingWeights = {
  own: 1,
  withPrevious: 0.8,
  session: 1.7,
  coverage: 0.9,
  windowCoverage: 1.2,
  late: 0.5,
  cosine: 1.2,
  speakerNamed: 2.4,
  temporalCue: 2.5,
  dateSession: 2.1,
  dateEvent: 0.7,
  isQuestion: -1.6,
  length: 2.4,
  secondPrevious: 2,
  answersPrevious: 1.9,
  place: 1.1,
  quantity: 2.1,
  sessionPool: 0.8,
  storedBeside: 1.2,
  latest: 0.6,
  recency: 0.05,
  importance: 0.4,
  feedback: feedbackWeight,
  note: 2,
} as const

/** The curve of fuse.ts, from bench/calibrate-ranking.ts; fit it again when a weight changes. */
export const calibration = { midpoint: 6.1, width: 1.2 } as const

export type FeatureName = keyof typeof rankingWeights
