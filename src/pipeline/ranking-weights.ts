// The weights of the recall ranking: data only. See docs/decisions/0004-ranking.md.

/** One weight a feature; what a feature measures stands in ranking-features.ts. */
export const rankingWeights = {
  own: 0.7,
  withPrevious: 0.6,
  window: 0.1,
  session: 1.8,
  coverage: 0.9,
  windowCoverage: 1.1,
  late: 0.6,
  cosine: 1.1,
  cosineWindow: 0.2,
  speakerNamed: 1,
  speakerOther: -1,
  temporalCue: 2.5,
  dateSession: 2.1,
  dateEvent: 1,
  isQuestion: -1.8,
  length: 3,
  secondPrevious: 2.2,
  answersPrevious: 2,
  place: 1.1,
  quantity: 2.1,
  sessionPool: 1.1,
  latest: 0.6,
  recency: 0.05,
  importance: 0.4,
  note: 2,
} as const

export type FeatureName = keyof typeof rankingWeights
