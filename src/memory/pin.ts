/** The operation `pin`: a memory that is to stay never expires and comes first in a brief. */
import { z } from 'zod'
import type { Operation } from '../operation.ts'
import { touchedBy } from './audience.ts'
import { changeFields } from './edit.ts'
import { describeRow, storeOutput } from './stored.ts'
import { lockExpected, requireStanding } from './versions.ts'
import { shareLife } from './versions.sql.ts'

export const pinFields = {
  pin: z
    .boolean()
    .describe('With id: true keeps it for good (its expiry goes) and first in a brief; false not'),
}

const pinInput = z.strictObject({ ...changeFields, ...pinFields })

/** Builds the operation. No version is made: what the memory says stays as it is. Throws as `edit` does. */
export function pinOperation(): Operation<typeof pinInput, typeof storeOutput, undefined> {
  return {
    name: 'pin',
    title: 'Pin a memory',
    description:
      'Keep a memory for good and first in a brief, or let it go with the others again. Pinning takes its expiry away; unpinning does not bring it back.',
    scope: 'memory:write',
    tool: 'store',
    effect: 'write',
    input: pinInput,
    output: storeOutput,
    quarantine: () => 'reached',
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, { id, expected_version: expected, pin }) => {
      const { tx, settings, now } = context
      const row = await lockExpected(context, id, expected)
      requireStanding(context, { ...row, trust: 0 })
      const life = pin
        ? { expiresAt: null, pinnedAt: row.pinned_at ?? now }
        : { expiresAt: row.expires_at, pinnedAt: null }
      await shareLife(tx, id, life)
      const status = pin ? ('pinned' as const) : ('unpinned' as const)
      const changed = { ...row, expires_at: life.expiresAt, pinned_at: life.pinnedAt }
      const entry = describeRow(settings, changed, status)
      return {
        output: { results: [entry], stored: 0, duplicates: 0, replayed: false },
        audit: { resourceIds: [id], counts: { pinned: pin ? 1 : 0 } },
        touched: touchedBy([row]),
      }
    },
  }
}
