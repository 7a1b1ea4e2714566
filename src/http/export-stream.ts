/** A whole export as one streamed answer: page after page, as fast as the client reads and its limit allows. */
import { AppError, toAppError } from '../errors.ts'
import type { Operations } from '../operations.ts'
import type { RouteCall } from './route.ts'

const formats = {
  'application/x-ndjson': 'jsonl',
  'text/markdown': 'markdown',
} as const

export const exportMediaTypes = Object.keys(formats)

/** Memories a page: few transactions, and an event of the audit log that still says which they were. */
const pageSize = 500

/**
 * The first page is read before anything is answered, so that a refusal has its status. Whatever fails
 * later breaks the answer off: a client that sees its proper end has everything.
 */
export async function exportStream(
  operation: Operations['export'],
  call: RouteCall,
  mediaType: string,
): Promise<Response> {
  const format = Object.entries(formats).find(([type]) => type === mediaType)?.[1] ?? 'jsonl'
  if (call.input['format'] !== undefined && call.input['format'] !== format) {
    throw new AppError('invalid_input', 'format and Accept name different things; keep one.')
  }
  const page = (cursor: unknown) =>
    call.execute(
      operation,
      call.principal,
      { limit: pageSize, ...call.input, format, ...(cursor !== undefined && { cursor }) },
      call.options,
    )
  let current = await page(call.input['cursor'])
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // However long ago it was read: a client may have taken its time to ask for it.
        await requireCurrent(call)
        controller.enqueue(encoder.encode(current.content))
        if (current.next_cursor === undefined) return controller.close()
        current = await patiently(() => page(current.next_cursor), call)
      },
    },
    // Nothing waits in a queue that nobody looks at: a page is asked for when it can be sent.
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'content-type': `${mediaType}; charset=utf-8` } })
}

/** A key that was revoked reads no further page, and is sent none. */
async function requireCurrent({ isCurrent, principal }: RouteCall): Promise<void> {
  if (await isCurrent(principal)) return
  throw new AppError('unauthenticated', 'The key is no longer valid.')
}

/** A limit slows a long export down; it does not end it. After each wait the key is looked at anew. */
async function patiently<T>(read: () => Promise<T>, call: RouteCall): Promise<T> {
  const { signal } = call.options
  for (;;) {
    await requireCurrent(call)
    try {
      return await read()
    } catch (thrown) {
      const error = toAppError(thrown)
      if (error.code !== 'rate_limited' || signal?.aborted === true) throw error
      await pause((error.retryAfterSeconds ?? 1) * 1000, signal)
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
