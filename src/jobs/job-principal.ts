/** The identity a job works under in one namespace: it sees all of it and nothing else. */
import { v7 as uuidv7 } from 'uuid'
import { jobAgent, type Principal } from '../principal.ts'

/** Where a job belongs to no namespace yet: it asks which ones have work, and no policy shows it a row. */
export const noNamespace = 0n

export function jobPrincipal(namespace: bigint): Principal {
  return {
    namespace,
    namespaceName: '',
    agent: jobAgent,
    scopes: new Set(['admin']),
    channel: 'job',
    requestId: uuidv7(),
  }
}
