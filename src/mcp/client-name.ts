/** What the client of a request calls itself, in either protocol era: a claim, kept as provenance. */
import { CLIENT_INFO_META_KEY, type Server, type ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { ClientName } from '../principal.ts'
import { cleanLine } from '../pipeline/clean.ts'

/** Characters kept of a name and of a version. */
const nameLengthMax = 64
const versionLengthMax = 32

const implementation = z.object({ name: z.string(), version: z.string().catch('') })

/**
 * Name and version that came with this very request (2026-07-28) or with `initialize`, cleaned and cut;
 * undefined for a client that gave none, and for a 2025 request outside a session.
 */
export function clientName(server: Server, context: ServerContext): ClientName | undefined {
  const envelope: Readonly<Record<string, unknown>> = { ...context.mcpReq.envelope }
  const given = implementation.safeParse(
    envelope[CLIENT_INFO_META_KEY] ?? server.getClientVersion(),
  )
  if (!given.success) return undefined
  const name = cut(given.data.name, nameLengthMax)
  return name === '' ? undefined : { name, version: cut(given.data.version, versionLengthMax) }
}

/** Cut before it is cleaned, so that a name of megabytes costs nothing; never within a character. */
function cut(text: string, lengthMax: number): string {
  const cleaned = cleanLine(text.slice(0, lengthMax * 4)).replaceAll(/\p{Surrogate}/gu, '')
  return Array.from(cleaned).slice(0, lengthMax).join('')
}
