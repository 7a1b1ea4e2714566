/** The embedder that ships with the program, under any name, and out of order when told to be. */
import { AppError } from '../../src/errors.ts'
import { createEmbedder, type Embedder } from '../../src/pipeline/embed.ts'

/** Fails while `isDown`: what is stored then waits for its vector. */
export class FlakyEmbedder implements Embedder {
  readonly #inner = createEmbedder({ embedder: 'static' })
  readonly model: string
  isDown = false

  constructor(model?: string) {
    this.model = model ?? this.#inner?.model ?? ''
  }
  get dimension(): number {
    return this.#inner?.dimension ?? 0
  }
  async embedDocuments(texts: readonly string[]): Promise<(Float32Array | null)[]> {
    if (this.isDown) throw new AppError('unavailable', 'The embedder is down.')
    return (await this.#inner?.embedDocuments(texts)) ?? []
  }
  async embedQuestion(text: string): Promise<Float32Array | null> {
    if (this.isDown) throw new AppError('unavailable', 'The embedder is down.')
    return (await this.#inner?.embedQuestion(text)) ?? null
  }
}
