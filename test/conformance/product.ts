/** The product itself for the conformance suite: the whole server, without a key since the suite has none. */
import { startTestApp } from '../support/app.ts'

/** Starts the server on a database of its own with one memory in it. */
export async function startProduct(): Promise<{ url: string; close(): Promise<void> }> {
  const running = await startTestApp({ environment: { MINDGLUE_API_KEY: '' } })
  const { app, url } = running
  const { namespaceName, agent } = app.config
  const principal = await app.principal({ namespaceName, agent, channel: 'cli' })
  const content = 'The conformance suite finds this memory in the list.'
  await app.execute(app.operations.store, principal, { content })
  return { url: url.href, close: () => running.close() }
}
