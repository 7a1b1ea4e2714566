/** Repeatable randomness for tests that print their seed. */

/** Numbers in [0, 1) from a 32-bit seed (mulberry32): the same seed gives the same run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** `SEED` of the environment, else one that differs from run to run; tests print it. */
export function seedOf(environment: Readonly<Record<string, string | undefined>>): number {
  return Number(environment['SEED'] ?? Date.now() % 1_000_000_000) >>> 0
}
