/** Writes down when API keys were last used: once a minute, never in the way of a request. */
import type { Authenticator } from '../auth/authenticate.ts'
import { writeKeyUses } from '../auth/issued-keys.ts'
import type { NamespaceScope } from '../database/scope.ts'
import type { Job } from './runner.ts'

export function keyUsesJob(
  scope: NamespaceScope,
  authenticator: Pick<Authenticator, 'takeUses'>,
): Job {
  return {
    name: 'key-uses',
    everySeconds: 60,
    run: () => writeKeyUses(scope, authenticator),
  }
}
