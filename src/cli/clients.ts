/** `mindglue clients`: programs that members let into the namespace with OAuth. */
import type { OperatorCommands } from '../daemon/operate.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson } from './output.ts'

export interface ClientsOptions extends OperatorOptions {
  readonly isJson: boolean
}

type Client = OperatorCommands['clientList']['output']['clients'][number]

const pageMax = 500
/** More than anybody reads. */
const clientsMax = 10_000

/** Exit code 0. */
export async function runListClients(options: ClientsOptions): Promise<number> {
  const clients = await withOperator(options, async (operator) => {
    const all: Client[] = []
    while (all.length < clientsMax) {
      const last = all.at(-1)
      const page = await operator.run('clientList', {
        limit: pageMax,
        ...(last !== undefined && { after_email: last.email, after_client: last.client }),
      })
      all.push(...page.clients)
      if (page.clients.length < pageMax) break
    }
    return all
  })
  if (options.isJson) printJson(clients)
  else if (clients.length === 0) print('None: members let them in when a program asks for it')
  else {
    const rows = clients.map(({ name, email, client, scopes, used_at: used }) => [
      name ?? '',
      email,
      scopes.join(' '),
      used.slice(0, 10),
      client,
    ])
    print(columns([['name', 'let in by', 'may', 'used', 'client'], ...rows]))
  }
  return 0
}

/** Exit code 0. Throws AppError `not_found` for a client that nobody let in. */
export async function runRevokeClient(
  options: ClientsOptions & { readonly client: string; readonly email: string | undefined },
): Promise<number> {
  const { client, email } = options
  const input = { client, ...(email !== undefined && { email }) }
  const done = await withOperator(
    options,
    async (operator) => await operator.run('clientRevoke', input),
  )
  if (options.isJson) printJson(done)
  else print(`Done: ${done.client} is shut out within five seconds`)
  return 0
}
