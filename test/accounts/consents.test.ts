/** Whom a person lets in, and shuts out: the namespace's audit log says so, and says nothing that did not happen. */
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { putClient } from '../../src/accounts/clients.sql.ts'
import { createConsents, type Consents } from '../../src/accounts/consents.ts'
import type { Session } from '../../src/accounts/session-tokens.ts'
import { allScopes } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { join, person } from '../support/people.ts'

let memory: TestMemory
let consents: Consents
/** A member of `lab` as ada and of `den` as lovelace; Bob is an administrator of `lab`. */
let ada: Session
let bob: Session
beforeAll(async () => {
  memory = await openTestMemory()
  consents = createConsents(memory.test.scope)
  ada = await person(memory)
  bob = await person(memory)
  await join(memory, ada, 'lab', { agent: 'ada' })
  await join(memory, ada, 'den', { agent: 'lovelace', role: 'reader' })
  await join(memory, bob, 'lab', { agent: 'bob', role: 'admin' })
  await memory.principal({ namespaceName: 'closed' })
})
afterAll(() => memory.close())

/** A program that nobody let in yet. */
async function program(): Promise<string> {
  const id = uuidv7()
  const metadata = JSON.stringify({ client_id: id, redirect_uris: ['https://a.example/b'] })
  await memory.test.scope.withDirectory((sql) => putClient(sql, id, metadata, 3600, 100))
  return id
}
const letIn = (session: Session, client: string, namespaceName: string, requestId = uuidv7()) =>
  consents.allow(session, { client, namespaceName, scopes: ['memory:read'] }, requestId)

/** What an administrator of the namespace finds in its log, the newest first. */
async function logged(namespaceName: string, action: string) {
  const scopes = allScopes
  const admin = await memory.principal({ namespaceName, agent: 'root', channel: 'cli', scopes })
  return (await memory.execute(memory.operations.auditQuery, admin, { action, limit: 500 })).events
}
const countOf = async (action: string) => {
  const logs = await Promise.all(['lab', 'den', 'closed'].map((name) => logged(name, action)))
  return logs.map((events) => events.length)
}

describe('the log of the namespace', () => {
  test('names the member who let a program in, with the request and what came of it', async () => {
    const client = await program()
    const requestId = uuidv7()
    const scopes = ['memory:read', 'memory:write'] as const
    const id = await consents.allow(ada, { client, namespaceName: 'lab', scopes }, requestId)
    expect((await logged('lab', 'client.allow'))[0]).toMatchObject({
      agent: 'ada',
      channel: 'rest',
      outcome: 'ok',
      request_id: requestId,
      resource_ids: [id],
      counts: { scopes: 2 },
    })
  })

  test('names who took it back, once in each namespace and in no other', async () => {
    const client = await program()
    const grants = [
      await letIn(ada, client, 'lab'),
      await letIn(ada, client, 'lab'),
      await letIn(ada, client, 'den'),
    ]
    const others = await letIn(bob, client, 'lab')
    const [lab = 0, den = 0, closed = 0] = await countOf('client.end')
    const requestId = uuidv7()
    await consents.end(ada, client, requestId)
    expect(await countOf('client.end')).toEqual([lab + 1, den + 1, closed])
    const [inLab] = await logged('lab', 'client.end')
    const [inDen] = await logged('den', 'client.end')
    expect(inLab).toMatchObject({ agent: 'ada', request_id: requestId, counts: { clients: 2 } })
    expect(new Set(inLab?.resource_ids)).toEqual(new Set(grants.slice(0, 2)))
    expect(inDen).toMatchObject({
      agent: 'lovelace',
      request_id: requestId,
      resource_ids: grants.slice(2),
      counts: { clients: 1 },
    })
    expect([await clientsOf(ada, client), await clientsOf(bob, client)]).toEqual([0, 1])
    expect(inLab?.resource_ids).not.toContain(others)
  })

  test('is shown to the member as far as it is about the member', async () => {
    const client = await program()
    await letIn(ada, client, 'lab')
    await letIn(bob, client, 'lab')
    const own = await memory.principal({ namespaceName: 'lab', scopes: ['audit:read'] })
    const { events } = await memory.execute(memory.operations.auditQuery, own, {
      action: 'client.allow',
    })
    expect(new Set(events.map(({ agent }) => agent))).toEqual(new Set(['ada']))
  })
})

describe('nothing is logged, and nothing allowed,', () => {
  test('in a namespace that the person may not enter', async () => {
    const before = await countOf('client.allow')
    expect(await letIn(ada, await program(), 'closed')).toBeUndefined()
    expect(await letIn(ada, await program(), 'no such')).toBeUndefined()
    expect(await countOf('client.allow')).toEqual(before)
  })

  test('by a session that has ended', async () => {
    const client = await program()
    const before = await countOf('client.allow')
    expect(await letIn({ ...ada, id: uuidv7() }, client, 'lab')).toBeUndefined()
    expect(await countOf('client.allow')).toEqual(before)
  })

  test('for a program that is not there', async () => {
    const before = await countOf('client.allow')
    await expect(letIn(ada, 'nobody', 'lab')).rejects.toThrow()
    expect(await countOf('client.allow')).toEqual(before)
  })

  test('when it is taken back a second time', async () => {
    const client = await program()
    await letIn(ada, client, 'lab')
    await consents.end(ada, client, uuidv7())
    const before = await countOf('client.end')
    for (const session of [ada, bob]) {
      const again = consents.end(session, client, uuidv7())
      await expect(again).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(await countOf('client.end')).toEqual(before)
  })
})

test('what cannot be logged does not happen', async () => {
  const client = await program()
  // The log refuses it: its column holds UUIDs.
  const broken = 'no request'
  await expect(letIn(ada, client, 'lab', broken)).rejects.toThrow()
  expect(await clientsOf(ada, client)).toBe(0)
  await letIn(ada, client, 'lab')
  await expect(consents.end(ada, client, broken)).rejects.toThrow()
  expect(await clientsOf(ada, client)).toBe(1)
})

/** In how many namespaces it is let in. */
async function clientsOf(session: Session, client: string): Promise<number> {
  return (await consents.list(session)).filter((row) => row.client === client).length
}
