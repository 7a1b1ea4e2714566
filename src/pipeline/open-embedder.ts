/** The embedder that the configuration names, and whether it answers when a server starts. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createEmbedder, requireAnswer, type Embedder } from './embed.ts'
import { multilingualModel } from './transformers-embedder.ts'
import { watchEmbedder, type WatchedEmbedder } from './watched-embedder.ts'

/** Opens nothing yet. A failing one does not stop anything, so that it fails is counted and logged here. */
export function openEmbedder(
  config: Config,
  log: Log,
  metrics: Metrics,
): WatchedEmbedder | undefined {
  const embedder = configuredEmbedder(config)
  if (embedder === undefined) return undefined
  let loggedAt = Number.NEGATIVE_INFINITY
  return watchEmbedder(embedder, (error) => {
    metrics.failure('embedder')
    // Every question would say the same.
    if (performance.now() - loggedAt < 60_000) return
    loggedAt = performance.now()
    log.warn('embedder failed', { component: 'embedder', error })
  })
}

function configuredEmbedder(config: Config): Embedder | undefined {
  const { embedder, embedderModel: model, embedderDimension: dimension } = config
  if (embedder === 'static' || embedder === 'none') return createEmbedder({ embedder })
  if (embedder === 'multilingual') {
    return createEmbedder({ embedder: 'transformers', ...multilingualModel })
  }
  if (model === undefined || dimension === undefined) throw incomplete(embedder)
  if (embedder === 'transformers') return createEmbedder({ embedder, model, dimension })
  const { embedderUrl: url, embedderKey: key, embedderTimeoutMs: timeoutMs } = config
  if (url === undefined) throw incomplete(embedder)
  return createEmbedder({ embedder, url, model, dimension, key, timeoutMs })
}

/** config.ts refuses this before; here it only convinces the type checker honestly. */
function incomplete(embedder: string): AppError {
  return new AppError('misconfigured', `MINDGLUE_EMBEDDER=${embedder} lacks a setting.`)
}

/**
 * Asks the embedder once. Throws AppError `misconfigured`, with what to do, when it cannot be used: the
 * server would store without vectors and nobody would notice. The shipped word vectors are not asked.
 */
export async function requireEmbedder(
  config: Config,
  embedder: Embedder | undefined,
  log: Log,
): Promise<void> {
  if (embedder === undefined || config.embedder === 'static') return
  const answer = requireAnswer(embedder)
  const stop = new AbortController()
  try {
    if (config.embedder === 'openai') return await answer
    // A local model is downloaded first: one that takes its time is on its way, not unusable.
    const late = delay(config.embedderTimeoutMs, 'late', { signal: stop.signal })
    if ((await Promise.race([answer, late])) !== 'late') return
    answer.catch(() => undefined) // counted and logged like any later failure
    log.warn('embedder still loads its model', { component: 'embedder' })
  } catch (error) {
    throw unusable(config.embedder, toAppError(error))
  } finally {
    stop.abort()
  }
}

function unusable(embedder: string, error: AppError): AppError {
  if (error.code === 'misconfigured') return error
  const check =
    embedder === 'openai'
      ? 'MINDGLUE_EMBEDDER_URL, MINDGLUE_EMBEDDER_KEY and MINDGLUE_EMBEDDER_MODEL'
      : "the model's name and the network it is downloaded over"
  const message =
    `MINDGLUE_EMBEDDER=${embedder} cannot be used: ${error.publicMessage} ` +
    `Check ${check}; MINDGLUE_EMBEDDER=none starts without vectors.`
  return new AppError('misconfigured', message, { cause: error })
}
