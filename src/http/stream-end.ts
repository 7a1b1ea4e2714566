/** Ends an open event stream when the credential it was opened with is no longer accepted. */
import type { Authenticator } from '../auth/authenticate.ts'
import type { Principal } from '../principal.ts'

/** With the two seconds that a look-up is believed (auth/authenticate.ts): under five in sum. */
const lookAgainMs = 2000

/**
 * The same response; of an event stream that an API key opened, one that ends within five seconds
 * after the key was revoked or has expired. What a client had been sent by then stays with it.
 */
export function endWithCredential(
  response: Response,
  principal: Principal,
  authenticator: Pick<Authenticator, 'isCurrent'>,
): Response {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  if (!isStream || response.body === null || principal.credential === undefined) return response
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader()
  let isEnded = false
  let timer: NodeJS.Timeout | undefined
  const end = (): void => {
    isEnded = true
    clearInterval(timer)
  }
  const lookAgain = async (controller: ReadableStreamDefaultController): Promise<void> => {
    if ((await authenticator.isCurrent(principal)) || isEnded) return
    end()
    controller.close()
    await reader.cancel()
  }
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      // A database that cannot say serves nobody either; the next look decides.
      const look = (): void => void lookAgain(controller).catch(() => undefined)
      timer = setInterval(look, lookAgainMs).unref()
    },
    async pull(controller) {
      const part = await reader.read()
      if (isEnded) return
      if (!part.done) return controller.enqueue(part.value)
      end()
      controller.close()
    },
    async cancel(reason) {
      end()
      await reader.cancel(reason)
    },
  })
  const { status, statusText, headers } = response
  return new Response(body, { status, statusText, headers })
}
