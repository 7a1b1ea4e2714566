/** The identity a job works under in one namespace: it sees all of it and nothing else. */
import { v7 as uuidv7 } from 'uuid'
import type { Principal } from '../principal.ts'

export function jobPrincipal(namespace: bigint): Principal {
  return {
    namespace,
    namespaceName: '',
    agent: 'mindglue',
    scopes: new Set(['admin']),
    plan: 'internal',
    channel: 'job',
    requestId: uuidv7(),
  }
}
