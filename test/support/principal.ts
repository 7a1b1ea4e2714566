/** A principal for tests of the edges, which need somebody who asks but no database. */
import { allScopes, type Principal } from '../../src/principal.ts'

export function testPrincipal(changes: Partial<Principal> = {}): Principal {
  return {
    namespace: 1n,
    namespaceName: 'default',
    agent: 'tester',
    scopes: new Set(allScopes),
    channel: 'mcp-http',
    requestId: '01890000-0000-7000-8000-000000000000',
    ...changes,
  }
}
