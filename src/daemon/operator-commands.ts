/** What only the person at this computer may ask for, besides every operation: copies, upkeep, keys. */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import type { OpenedAccounts } from '../accounts/open-accounts.ts'
import { recordEvent } from '../audit/events.ts'
import { embeddedDirectory } from '../database/embedded-template.ts'
import { AppError } from '../errors.ts'
import type { ExecuteOptions } from '../execute.ts'
import type { Encrypted, EncryptingProfile, KeyStatus, KeyUpkeep } from '../jobs/key-upkeep.ts'
import type { ReembedOptions } from '../jobs/reembed.ts'
import type { Reindexed } from '../jobs/reindex.ts'
import type { Scanned } from '../jobs/scan.ts'
import { countVersions } from '../memory/size.sql.ts'
import type { Principal } from '../principal.ts'
import { namespaceCommands, type NamespaceCommands, type NamespacesHost } from './namespaces.ts'
import { planOf, type PlanReport } from './plan.ts'
import { recoverAccount } from './recover.ts'

/** What these commands need from the application; `App` has this shape. */
export interface UpkeepHost extends NamespacesHost {
  readonly embedded: { backup(directory: string): Promise<void> } | undefined
  readonly keyUpkeep: KeyUpkeep
  readonly accounts: Pick<OpenedAccounts, 'accounts'> | undefined
  reembed(principal: Principal, options: ReembedOptions): Promise<number>
  reindex(principal: Principal, options: ReembedOptions): Promise<Reindexed>
  scan(principal: Principal, isDryRun: boolean, options: ReembedOptions): Promise<Scanned>
}

/** Name → input and output. */
export interface UpkeepCommands extends NamespaceCommands {
  /** A copy of the embedded database that can serve as a data directory; absolute path, new or empty. */
  readonly backup: { readonly input: { readonly directory: string }; readonly output: object }
  /** Versions that an export would give out. */
  readonly size: { readonly input: object; readonly output: { readonly versions: number } }
  /** Vectors of the configured embedder for the whole namespace, while it serves. */
  readonly reembed: { readonly input: object; readonly output: { readonly vectors: number } }
  /** Words of the present analyzer for the whole namespace, while it serves. */
  readonly reindex: { readonly input: object; readonly output: Reindexed }
  /** What the plan allows and what is held; with a name, after a change to that plan. */
  readonly plan: { readonly input: { readonly plan?: string }; readonly output: PlanReport }
  /** Applies the policy for credentials and personal data to what is stored already, while it serves. */
  readonly scan: { readonly input: { readonly dry_run?: boolean }; readonly output: Scanned }
  /** Takes the second factor of an account away. */
  readonly 'accounts.recover': {
    readonly input: { readonly email: string }
    readonly output: object
  }
  readonly 'keys.status': { readonly input: object; readonly output: KeyStatus }
  readonly 'keys.rewrap': { readonly input: object; readonly output: { readonly keys: number } }
  readonly 'keys.encrypt': {
    readonly input: { readonly profile?: EncryptingProfile }
    readonly output: Encrypted
  }
  readonly 'keys.shred': { readonly input: object; readonly output: { readonly keys: number } }
  readonly 'keys.retire': { readonly input: { readonly key_id: number }; readonly output: object }
}

interface Call {
  readonly host: UpkeepHost
  readonly principal: Principal
  readonly input: unknown
  readonly work: ReembedOptions
}

const backupInput = z.strictObject({ directory: z.string().min(1).max(4096).refine(isAbsolute) })
const encryptInput = z.strictObject({ profile: z.enum(['field', 'sealed']).optional() })
const scanInput = z.strictObject({ dry_run: z.boolean().optional() })
const retireInput = z.strictObject({ key_id: z.int().min(1) })

const upkeepCommands: {
  readonly [Name in keyof UpkeepCommands]: (call: Call) => Promise<UpkeepCommands[Name]['output']>
} = {
  ...namespaceCommands,
  backup: async ({ host, principal, input }) => {
    const parsed = backupInput.safeParse(input)
    if (!parsed.success) throw new AppError('invalid_input', 'A backup needs an absolute path.')
    if (host.embedded === undefined) {
      throw new AppError('unsupported', 'Only the embedded database is copied this way.')
    }
    // The event goes in first: it is then part of the copy too, and no copy is made without it.
    await host.scope.withNamespace(principal, {}, async (tx) => {
      await recordEvent(tx, principal, 'backup', 'ok', {})
    })
    await host.embedded.backup(embeddedDirectory(parsed.data.directory))
    return {}
  },
  size: async ({ host, principal }) => ({
    versions: await host.scope.withNamespace(principal, { readOnly: true }, countVersions),
  }),
  reembed: async ({ host, principal, work }) => ({ vectors: await host.reembed(principal, work) }),
  reindex: async ({ host, principal, work }) => await host.reindex(principal, work),
  plan: async ({ host, principal, input }) => await planOf(host, principal, input),
  scan: async ({ host, principal, input, work }) => {
    const parsed = scanInput.safeParse(input)
    if (!parsed.success) throw new AppError('invalid_input', 'A scan takes dry_run alone.')
    return await host.scan(principal, parsed.data.dry_run === true, work)
  },
  'accounts.recover': async ({ host, principal, input }) =>
    await recoverAccount(host, principal, input),
  'keys.status': async ({ host }) => await host.keyUpkeep.status(),
  'keys.rewrap': async ({ host, work }) => await host.keyUpkeep.rewrap(work),
  'keys.encrypt': async ({ host, principal, input, work }) => {
    const parsed = encryptInput.safeParse(input)
    if (!parsed.success) {
      throw new AppError('invalid_input', 'A namespace is encrypted as `field` or `sealed`.')
    }
    return await host.keyUpkeep.encrypt(principal, work, parsed.data.profile)
  },
  'keys.shred': async ({ host, principal, work }) => await host.keyUpkeep.shred(principal, work),
  'keys.retire': async ({ host, input }) => {
    const parsed = retireInput.safeParse(input)
    if (!parsed.success) throw new AppError('invalid_input', 'Name the id of a root key.')
    await host.keyUpkeep.retire(parsed.data.key_id)
    return {}
  },
}

/** The command of that name bound to its call; undefined when it is none of these. */
export function upkeepCommand(
  name: string,
  host: UpkeepHost,
):
  ((principal: Principal, input: unknown, options: ExecuteOptions) => Promise<object>) | undefined {
  if (!isUpkeep(name)) return undefined
  const command = upkeepCommands[name]
  return async (principal, input, options) => {
    const { signal = new AbortController().signal, onProgress = () => undefined } = options
    return await command({ host, principal, input, work: { signal, onProgress } })
  }
}

function isUpkeep(name: string): name is keyof UpkeepCommands {
  return Object.hasOwn(upkeepCommands, name)
}
