/**
 * What daemons ask the client (elicitation). Each new server counts its requests from 0, so an id names
 * another question in the next daemon: a late yes must not answer that one, nor its own answer be taken
 * for a late one. An id whose question still waits for a dead daemon is shown to the client as another.
 */
import { idKey, type Id } from './json-rpc.ts'

export interface Questions {
  /** The daemon asks under `own`; returns the line for the client. */
  ask(own: Id, line: Buffer): Buffer
  /** The client answers `shown`; returns the line for the daemon, undefined when the asker is gone. */
  answer(shown: Id, line: Buffer): Buffer | undefined
  /** The daemon no longer wants to know; returns the line for the client. */
  withdraw(own: Id, line: Buffer): Buffer
  /** The daemon is gone: ids, as the client knows them, of what nobody waits for and nobody has withdrawn. */
  abandon(): readonly Id[]
}

/** One per pipe. Bounded by the questions that the client leaves unanswered. */
export function createQuestions(): Questions {
  const open = new Map<string, { readonly shown: Id; readonly own: Id; isWithdrawn: boolean }>()
  const abandoned = new Set<string>()
  let renamed = 0
  return {
    ask(own, line) {
      const isTaken = abandoned.has(idKey(own))
      const shown = isTaken ? `mindglue-question-${String(++renamed)}` : own
      open.set(idKey(shown), { shown, own, isWithdrawn: false })
      return isTaken ? withFields(line, () => ({ id: shown })) : line
    },
    answer(shown, line) {
      const key = idKey(shown)
      if (abandoned.delete(key)) return undefined
      const question = open.get(key)
      open.delete(key)
      if (question === undefined || question.own === shown) return line
      return withFields(line, () => ({ id: question.own }))
    },
    withdraw(own, line) {
      const question = [...open.values()].find((asked) => asked.own === own)
      if (question !== undefined) question.isWithdrawn = true
      if (question === undefined || question.shown === own) return line
      return withFields(line, ({ params }) => ({
        params: { ...(typeof params === 'object' && params), requestId: question.shown },
      }))
    },
    abandon() {
      const ids = [...open.values()].flatMap(({ shown, isWithdrawn }) =>
        isWithdrawn ? [] : [shown],
      )
      for (const key of open.keys()) abandoned.add(key)
      open.clear()
      return ids
    },
  }
}

/** A message with some of its fields replaced. */
function withFields(
  line: Buffer,
  change: (fields: { readonly params?: unknown }) => object,
): Buffer {
  const value: unknown = JSON.parse(line.toString('utf8'))
  const fields = typeof value === 'object' && value !== null ? value : {}
  return Buffer.from(JSON.stringify({ ...fields, ...change(fields) }))
}
