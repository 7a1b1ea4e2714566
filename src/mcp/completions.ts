/** Completion of resource URI variables and prompt arguments, from what the principal can read. */
import type { CompleteRequest, CompleteResult } from '@modelcontextprotocol/server'
import type { PresentedMemory } from '../memory/present.ts'
import type { McpHost } from './host.ts'
import { cleanLine } from '../pipeline/clean.ts'
import { asProtocolError, type ResourceCall } from './resources.ts'
import { uriTemplates } from './resource-uri.ts'

/** The protocol's own bound (completion/complete: at most 100 values). */
const valuesMax = 100
/** Newest memories whose labels are offered; older ones are found by asking. */
const lookedAtMax = 100

/** Values of a memory that complete an argument; arguments not named here complete to nothing. */
const sources: Readonly<Record<string, (memory: PresentedMemory) => readonly string[]>> = {
  id: (memory) => [memory.id],
  session: (memory) => (memory.session === undefined ? [] : [cleanLine(memory.session)]),
  topic: (memory) => memory.tags.map(cleanLine),
}

/** What a budget of tokens is mostly set to. */
const budgets = ['600', '1000', '2000', '4000', '8000']

/** Characters of the longest name that is found in a text; nothing begins with more. */
const nameLengthMax = 80

/** Answers `completion/complete`. An unknown reference completes to nothing. */
export async function complete(
  host: McpHost,
  call: ResourceCall,
  { ref, argument, context }: CompleteRequest['params'],
): Promise<CompleteResult> {
  const { principal, options } = call
  if (ref.type === 'ref/resource') {
    const isOurs = Object.values<string>(uriTemplates).includes(ref.uri)
    if (!isOurs) return valuesOf([])
    if (argument.name === 'namespace') return valuesOf([principal.namespaceName], argument.value)
    // Another namespace has no ids and no names here.
    const namespace = context?.arguments?.['namespace']
    if (namespace !== undefined && namespace !== principal.namespaceName) return valuesOf([])
    if (argument.name === 'name') return await names(host, call, argument.value)
  }
  if (argument.name === 'max_tokens') return valuesOf(budgets, argument.value)
  const source = sources[argument.name]
  if (source === undefined) return valuesOf([])
  const { results } = await asProtocolError(() =>
    host.execute(host.operations.recall, principal, { limit: lookedAtMax }, options),
  )
  return valuesOf(results.flatMap(source), argument.value)
}

async function names(
  host: McpHost,
  { principal, options }: ResourceCall,
  prefix: string,
): Promise<CompleteResult> {
  if (prefix.length > nameLengthMax) return valuesOf([])
  const input = { prefix, limit: valuesMax }
  const found = await asProtocolError(() =>
    host.execute(host.operations.entityNames, principal, input, options),
  )
  const { total } = found
  const values = found.names.map(cleanLine)
  return { completion: { values, total, hasMore: total > values.length } }
}

function valuesOf(candidates: readonly string[], typed = ''): CompleteResult {
  const prefix = typed.toLowerCase()
  const values = [...new Set(candidates)].filter((value) => value.toLowerCase().startsWith(prefix))
  const shown = values.slice(0, valuesMax)
  return {
    completion: { values: shown, total: values.length, hasMore: values.length > shown.length },
  }
}
