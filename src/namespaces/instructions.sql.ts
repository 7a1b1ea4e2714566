/** The instructions of a namespace as stored, with their key. */
import type { WrappedKey, WrapOrigin } from '../crypto/namespace-keys.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

/** The key columns are null in profile `off`. */
export interface StoredInstructions {
  readonly instructions: Buffer
  readonly key_id: number | null
  readonly epoch: number | null
  readonly token: Buffer | null
}

/** Undefined where there are none. Primary key. */
export async function readInstructions(
  tx: NamespaceTransaction,
): Promise<StoredInstructions | undefined> {
  const [row] = await tx<StoredInstructions>`
    select n.instructions, n.instructions_key_id as key_id, n.instructions_epoch as epoch,
      n.instructions_token as token
    from namespaces n
    where n.namespace = ${tx.namespace} and n.deleted_at is null and n.instructions is not null`
  return row
}

/** Undefined takes them away. Locks the row as any other update does. */
export async function writeInstructions(
  tx: NamespaceTransaction,
  stored: StoredInstructions | undefined,
): Promise<void> {
  await tx`
    update namespaces n set instructions = ${stored?.instructions ?? null}::bytea,
      instructions_key_id = ${stored?.key_id ?? null}::int, instructions_epoch = ${stored?.epoch ?? null}::int,
      instructions_token = ${stored?.token ?? null}::bytea
    where n.namespace = ${tx.namespace}`
}

/** The same key, wrapped anew, if it is still the one that was read. */
export async function updateInstructionsKey(
  tx: NamespaceTransaction,
  before: Buffer,
  key: WrappedKey,
): Promise<void> {
  await tx`
    update namespaces n set instructions_key_id = ${key.keyId}, instructions_epoch = ${key.epoch},
      instructions_token = ${key.token}
    where n.namespace = ${tx.namespace} and n.instructions_token = ${before}`
}

/** Whether their key is wrapped under something else than `current`. */
export function isOutdated(
  stored: StoredInstructions | undefined,
  { keyId, epoch }: WrapOrigin,
): boolean {
  return stored?.token != null && (stored.key_id !== keyId || stored.epoch !== epoch)
}
