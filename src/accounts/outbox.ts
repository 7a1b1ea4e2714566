/** Letters on their way: sent off the path of the request that asked for them, a few at a time. */
import { AppError } from '../errors.ts'
import type { Letter, Mail } from './mail.ts'

export interface Outbox {
  /** Returns at once, whatever becomes of the letter: an answer that waited would tell who gets one. */
  post(letter: Letter): void
  /** Sends what is waiting, and resolves when that is done or took too long. */
  close(): Promise<void>
}

const atOnceMax = 4
const waitingMax = 1000
const closeMs = 15_000
/**
 * To start a program stops this process for milliseconds, which a request at that moment could measure: it is
 * some moment of the next half second.
 */
const pauseMsMax = 500

/** `onFailure` is told of letters that could not be sent, without the address. */
export function createOutbox(mail: Mail, onFailure: (error: unknown) => void): Outbox {
  const waiting: Letter[] = []
  const running = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined

  const send = async (letter: Letter): Promise<void> => {
    try {
      await mail.send(letter)
    } catch (error) {
      onFailure(error)
    }
  }
  const start = (): void => {
    clearTimeout(timer)
    timer = undefined
    while (running.size < atOnceMax) {
      const letter = waiting.shift()
      if (letter === undefined) return
      const sent: Promise<void> = send(letter).finally(() => {
        running.delete(sent)
        start()
      })
      running.add(sent)
    }
  }
  return {
    post(letter) {
      if (waiting.length >= waitingMax) {
        return onFailure(new AppError('unavailable', 'Too many letters are waiting.'))
      }
      waiting.push(letter)
      timer ??= setTimeout(start, Math.random() * pauseMsMax)
    },
    async close() {
      const lateAt = performance.now() + closeMs
      const late = new Promise<void>((resolve) => {
        setTimeout(resolve, closeMs).unref()
      })
      start()
      while (running.size > 0 && performance.now() < lateAt) {
        await Promise.race([...running, late])
      }
    },
  }
}
