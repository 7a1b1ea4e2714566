/** The name of an entity as a column: as it is, or under a key of its own, since it outlives single memories. */
import { envelopeFailure, open, seal } from '../crypto/envelope.ts'
import { contentKeySlot, type KeySlot } from '../crypto/namespace-keys.ts'
import type { NamespaceSettings } from '../operation.ts'

/** An entity's stored name; the key columns are null in profile `off`. */
export interface StoredEntityName {
  readonly entity: bigint
  readonly name: Buffer
  readonly key_id: number | null
  readonly epoch: number | null
  readonly key_token: Buffer | null
}

const column = 'entity_name'

/** Where the key of an entity's name belongs; its row id is the entity's number. */
export function entityKeySlot(entity: bigint): KeySlot {
  return contentKeySlot(`entity/${entity}`, 0)
}

export function writeEntityName(
  { namespace, keys }: NamespaceSettings,
  entity: bigint,
  name: string,
): StoredEntityName {
  const bytes = Buffer.from(name, 'utf8')
  if (keys === undefined) return { entity, name: bytes, key_id: null, epoch: null, key_token: null }
  const slot = entityKeySlot(entity)
  const { key, wrapped } = keys.newContentKey(slot)
  const sealed = seal(key, { namespace, id: slot.id, version: slot.version, column }, bytes)
  return {
    entity,
    name: sealed,
    key_id: wrapped.keyId,
    epoch: wrapped.epoch,
    key_token: wrapped.token,
  }
}

/** Throws AppError `internal` for a name that is not this entity's, or plain where it must not be. */
export function readEntityName(
  { namespace, keys, plainBelow }: NamespaceSettings,
  { entity, name, key_token: token }: Pick<StoredEntityName, 'entity' | 'name' | 'key_token'>,
): string {
  if (token === null) {
    if (keys === undefined || plainBelow !== undefined) return name.toString('utf8')
    throw envelopeFailure('version')
  }
  if (keys === undefined) throw envelopeFailure('key')
  const slot = entityKeySlot(entity)
  const key = keys.openContentKey(slot, token)
  return open(key, { namespace, id: slot.id, version: slot.version, column }, name).toString('utf8')
}
