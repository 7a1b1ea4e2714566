/** Opaque page cursors: what they carry is signed and bound to the principal, the operation and its filter. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import type { FieldPlace } from './fields.ts'

const macBytes = 16
const cursorCharactersMax = 1024

/** Everything a cursor must agree with before its position is believed. */
export interface CursorBinding {
  readonly principal: Pick<Principal, 'namespace' | 'agent'>
  readonly operation: string
  /** The filter of the listing, so that a cursor of one filter is refused by another. */
  readonly filter: string
}

/** Keyset position as text parts, such as [timestamp, id]. */
export type CursorPosition = readonly string[]

const positionSchema = z.array(z.string().max(256)).max(4)

/** Makes a cursor. `key`: 32 secret bytes of this installation. */
export function sealCursor(
  key: Uint8Array,
  binding: CursorBinding,
  position: CursorPosition,
): string {
  const payload = Buffer.from(JSON.stringify(position))
  return Buffer.concat([mac(key, binding, payload), payload]).toString('base64url')
}

/** Reads a cursor back; throws `invalid_input` for one that is altered, foreign or of another listing. */
export function openCursor(
  key: Uint8Array,
  binding: CursorBinding,
  cursor: string,
): CursorPosition {
  const bytes =
    cursor.length > cursorCharactersMax ? Buffer.alloc(0) : Buffer.from(cursor, 'base64url')
  const payload = bytes.subarray(macBytes)
  const authentic =
    bytes.length > macBytes &&
    timingSafeEqual(mac(key, binding, payload), bytes.subarray(0, macBytes))
  if (!authentic) {
    throw new AppError(
      'invalid_input',
      'The cursor is not valid here. Start again without a cursor and keep the other arguments the same from page to page.',
      { details: { issues: [{ path: 'cursor', message: 'not a cursor of this listing' }] } },
    )
  }
  return positionSchema.parse(JSON.parse(payload.toString('utf8')))
}

/** Reads back a cursor that was sealed with [id, version]; throws likewise. */
export function openPlaceCursor(
  key: Uint8Array,
  binding: CursorBinding,
  cursor: string,
): FieldPlace {
  const [id = '', version = '0'] = openCursor(key, binding, cursor)
  return { id, version: Number(version) }
}

function mac(key: Uint8Array, { principal, operation, filter }: CursorBinding, payload: Buffer) {
  const bound = JSON.stringify([`${principal.namespace}`, principal.agent, operation, filter])
  return createHmac('sha256', key)
    .update(`${Buffer.byteLength(bound)}|${bound}`)
    .update(payload)
    .digest()
    .subarray(0, macBytes)
}
