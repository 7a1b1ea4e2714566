// The weights of the recall ranking: data only. See docs/decisions/0004-ranking.md.

/** One weight a feature; what a feature measures stands in ranking-features.ts. */
export const rankingWeights = {
  own: 1.5,
  withPrevious: 1.2,
  window: 1,
  session: 1.4,
  coverage: 0.3,
  windowCoverage: 1,
  late: 1,
  lateWindow: 0.3,
  cosine: 0.6,
  cosineWindow: 0.4,
  speakerNamed: 1.2,
  speakerOther: -1,
  temporalCue: 1,
  dateSession: 1.8,
  dateEvent: 1,
  isQuestion: -0.5,
  length: 1,
  next: 0.6,
  secondPrevious: 0.6,
  answersPrevious: 1,
  place: 0.5,
  quantity: 0.5,
  sessionPool: 0.5,
  latest: 1,
  recency: 0.02,
  importance: 0.3,
} as const

export type FeatureName = keyof typeof rankingWeights
