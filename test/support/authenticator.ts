/** The product's authenticator with one configured key and no issued ones, for tests of the edges. */
import { createAuthenticator, type Authenticator } from '../../src/auth/authenticate.ts'
import { testPrincipal } from './principal.ts'

/** Undefined as key: whoever asks without credentials is let in. */
export function testAuthenticator(apiKey: string | undefined): Authenticator {
  return createAuthenticator({
    configuredKey: apiKey,
    configuredPrincipal: ({ requestId }) => Promise.resolve(testPrincipal({ requestId })),
    pepper: undefined,
    find: () => Promise.resolve(undefined),
  })
}
