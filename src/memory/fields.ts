/** How the text of a memory becomes a column and back, by the namespace's encryption profile. */
import { AppError } from '../errors.ts'
import type { NamespaceSettings } from '../operation.ts'

/** The encoded columns of a memory; bound into the ciphertext, so a value fits its own column alone. */
export type FieldColumn =
  | 'content'
  | 'raw_content'
  | 'metadata'
  | 'tags'
  | 'session_label'
  | 'speaker'
  | 'source_url'
  | 'retire_reason'

export interface FieldCodec {
  encode(column: FieldColumn, text: string): Buffer
  decode(column: FieldColumn, bytes: Buffer): string
}

const plain: FieldCodec = {
  encode: (_column, text) => Buffer.from(text, 'utf8'),
  decode: (_column, bytes) => bytes.toString('utf8'),
}

/** The codec of one namespace. Throws `unsupported` for a profile this version cannot read. */
export function fieldCodec(settings: NamespaceSettings): FieldCodec {
  if (settings.profile === 'off') return plain
  throw new AppError(
    'unsupported',
    `Namespace profile ${settings.profile} needs a newer version of MindGlue.`,
  )
}

export function encodeOptional(codec: FieldCodec, column: FieldColumn, text: string | undefined) {
  return text === undefined ? null : codec.encode(column, text)
}

export function decodeOptional(codec: FieldCodec, column: FieldColumn, bytes: Buffer | null) {
  return bytes === null ? undefined : codec.decode(column, bytes)
}
