/** Whether a server starts with its embedder; how it refuses to is in test/cli/serve.test.ts. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { Embedder } from '../../src/pipeline/embed.ts'
import { requireEmbedder } from '../../src/pipeline/open-embedder.ts'
import { createLog } from '../../src/telemetry/log.ts'

const config = loadConfig({
  MINDGLUE_EMBEDDER: 'multilingual',
  MINDGLUE_EMBEDDER_TIMEOUT_MS: '100',
})

test('a local model that is still being downloaded is not waited for, and may fail later', async () => {
  let fail: (error: Error) => void = () => undefined
  const loading = new Promise<never>((_resolve, reject) => (fail = reject))
  const embedder: Embedder = {
    model: 'm',
    dimension: 2,
    embedDocuments: () => loading,
    embedQuestion: () => loading,
  }
  let logged = ''
  const log = createLog({
    level: 'warn',
    destination: { write: (line: string) => void (logged += line) },
  })
  await requireEmbedder(config, embedder, log)
  expect(logged).toContain('embedder still loads its model')
  // Nobody waits for it any more, so this would end the process if it were not caught.
  fail(new Error('the download broke off'))
})
