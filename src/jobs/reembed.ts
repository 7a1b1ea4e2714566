/** Gives a namespace the vectors of the configured embedder while it keeps serving; may be repeated. */
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { lowestDocument } from '../namespaces/documents.ts'
import { countVersions } from '../memory/size.sql.ts'
import { lackingVector } from '../memory/vectors.ts'
import { addDue } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { changeEmbedder } from '../namespaces/namespaces.sql.ts'
import { fitsNamespace, type Embedder } from '../pipeline/embed.ts'
import type { Principal } from '../principal.ts'
import { embedRows } from './embed-pending.ts'
import { settingsNow } from './same-settings.ts'

const batchRows = 64

export interface ReembedDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  /** Undefined when the embedder is `none`. */
  readonly embedder: Embedder | undefined
}

export interface ReembedOptions {
  readonly signal: AbortSignal
  readonly onProgress: (done: number, total: number) => void
}

/**
 * Until a memory has its new vector, its words find it. Interrupted, the next run goes on with what is
 * missing. Returns the number of vectors made. Throws `unavailable` when the embedder fails.
 */
export async function reembed(
  { scope, namespaces, embedder }: ReembedDependencies,
  principal: Principal,
  { signal, onProgress }: ReembedOptions,
): Promise<number> {
  if (embedder === undefined) {
    throw new AppError('unsupported', 'The embedder is `none`: there are no vectors to make.')
  }
  const before = await namespaces.settings(principal)
  if (!fitsNamespace(embedder, before)) {
    await scope.withNamespace(principal, { statementTimeoutMs: 600_000 }, async (tx) => {
      await changeEmbedder(tx, embedder)
      await addDue(tx, 'statistics', [new Date()])
      await recordEvent(tx, principal, 'reembed', 'ok', {})
    })
  }
  const settings = await settingsNow({ scope, namespaces }, principal)
  const total = await scope.withNamespace(principal, { readOnly: true }, countVersions)
  let done = 0
  let last = lowestDocument
  while (!signal.aborted) {
    const rows = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
      lackingVector(tx, settings, last, batchRows),
    )
    if (rows.length === 0) break
    await embedRows({ within: scope.withNamespace, embedder, settings, principal }, rows, signal)
    done += rows.length
    last = rows.at(-1)?.document ?? last
    onProgress(done, Math.max(done, total))
  }
  await scope.withNamespace(principal, {}, (tx) => addDue(tx, 'statistics', [new Date()]))
  return done
}
