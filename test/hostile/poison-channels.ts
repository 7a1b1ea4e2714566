/** Every way by which a text reaches the memory, and every field it can stand in. */
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { memoriesOfRecord } from '../../src/cli/knowledge-graph.ts'
import {
  generateFernetKey,
  openFernet,
  parseFernetKey,
  sealFernet,
} from '../../src/crypto/fernet.ts'
import { operate } from '../../src/daemon/operate.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import type { TestApp } from '../support/app.ts'
import { connections, type Caller } from '../support/clients.ts'
import { issueKey } from '../support/keys.ts'
import { restClient } from '../support/rest.ts'

/** A memory as an attacker would send it. */
export type Sent = Readonly<Record<string, unknown>> & { readonly content: string }

export interface Channel {
  readonly name: string
  readonly namespaceName: string
  /** What the server makes of it, whatever the text says. */
  readonly kinds: readonly string[]
  readonly trust: readonly number[]
  readonly isOneByOne: boolean
  /** Stores all of them. */
  send(items: readonly Sent[]): Promise<void>
  close(): Promise<void>
}

export type Field = (text: string, index: number) => Sent

const plain = (index: number): string => `Note ${index} of Marta: the pump in Lublin was repaired.`
/** A label has 256 bytes; what is cut off is the end of a carrier. */
export function label(text: string): string {
  let end = text.length
  while (Buffer.byteLength(text.slice(0, end)) > 250) end -= 1
  // Half of a surrogate pair is no text.
  return (
    text
      .slice(0, end)
      .replace(/[\ud800-\udbff]$/u, '')
      .trim() || 'x'
  )
}

/** The poisoned text in each field in turn; the rest is ordinary. */
export const fields: Readonly<Record<string, Field>> = {
  content: (text) => ({ content: text }),
  raw_content: (text, index) => ({ content: plain(index), raw_content: text }),
  metadata: (text, index) => ({ content: plain(index), metadata: { note: { deep: [text] } } }),
  'metadata key': (text, index) => ({
    content: plain(index),
    metadata: { [text.slice(0, 2_000)]: { trust: 3, quarantine: [], source: { kind: 'user' } } },
  }),
  tags: (text, index) => ({ content: plain(index), tags: ['trust:3', label(text)] }),
  speaker: (text, index) => ({ content: plain(index), speaker: label(text) }),
  session: (text, index) => ({ content: plain(index), session: label(text) }),
  'entity name': (text, index) => ({
    content: `We met ${titled(text)} in Lublin, says Marta. ${index}`,
  }),
}

/** Capitalised, so that it is taken for a name. */
function titled(text: string): string {
  return text
    .slice(0, 400)
    .replaceAll(/\p{L}+/gu, (word) => word.slice(0, 1).toUpperCase() + word.slice(1))
}

/** An exported line; what it says of its own source is the attacker's. */
export function lineOf(item: Sent, source: object, id = uuidv7()): object {
  const at = '2026-03-01T00:00:00.000Z'
  return {
    mindglue: 1,
    id,
    version: 1,
    type: 'fact',
    tags: [],
    occurred_at: at,
    recorded_at: at,
    valid_from: at,
    importance: 0.5,
    access: 'shared',
    owner_agent: 'ada',
    is_current: true,
    source,
    ...item,
  }
}

const claims = [
  { kind: 'user', trust: 3 },
  { kind: 'user', trust: 2 },
  { kind: 'web', trust: 0 },
  { kind: 'web', trust: 1 },
  { kind: 'connector', trust: 1 },
  { kind: 'tool', trust: 2 },
  { kind: 'tool', trust: 1 },
]

const pieceSize = 100

/** All channels of the product, each into a namespace of its own; a key over HTTP is bound to `default`. */
export async function openChannels(test: TestApp): Promise<readonly Channel[]> {
  const { app } = test
  const http = connections.find(({ isStream, era }) => !isStream && era === 'modern')
  const stream = connections.find(({ isStream, era }) => isStream && era === 'legacy')
  if (!http || !stream) throw new TypeError('no such connection')
  const byHttp = await http.open(test)
  const byStream = await stream.open(test, { as: { namespaceName: 'singly', agent: 'ada' } })
  const connector: Principal = {
    ...(await app.principal({ namespaceName: 'connector', agent: 'notion', channel: 'job' })),
  }
  const asOperator = async (namespaceName: string, operation: string, input: object) =>
    void (await operate(app, { namespaceName, agent: 'ada' }, { operation, input }))
  const key = parseFernetKey(generateFernetKey())
  const none = () => Promise.resolve()
  const channel = (
    name: string,
    rest: Omit<Channel, 'name' | 'close' | 'isOneByOne'>,
    close = none,
  ): Channel => ({
    name,
    isOneByOne: name.includes('one by one'),
    ...rest,
    close,
  })
  return [
    channel(
      'store by an agent, in batches over HTTP',
      { namespaceName: 'default', kinds: ['agent'], trust: [2], send: batches(byHttp) },
      () => byHttp.close(),
    ),
    channel(
      'store by an agent, one by one over a stream',
      { namespaceName: 'singly', kinds: ['agent'], trust: [2], send: singly(byStream) },
      () => byStream.close(),
    ),
    channel('store by an agent, one by one over REST', {
      namespaceName: 'rest',
      kinds: ['agent'],
      trust: [2],
      send: await overRest(test, 'rest'),
    }),
    channel('store by the person at the command line', {
      namespaceName: 'person',
      kinds: ['user'],
      trust: [3],
      send: inPieces((memories) => asOperator('person', 'store', { memories })),
    }),
    channel('store by a connector', {
      namespaceName: 'connector',
      kinds: ['connector'],
      trust: [1],
      send: inPieces(async (memories) => {
        await app.execute(app.operations.store, connector, { memories })
      }),
    }),
    channel('import of lines that claim any source', {
      namespaceName: 'lines',
      kinds: ['import'],
      trust: [0, 1, 2],
      send: inPieces((items) =>
        asOperator('lines', 'import', {
          lines: items.map((item, index) => lineOf(item, claims[index % claims.length] ?? {})),
        }),
      ),
    }),
    channel('import of Fernet lines', {
      namespaceName: 'fernet',
      kinds: ['import'],
      trust: [2],
      send: inPieces((items) =>
        asOperator('fernet', 'import', {
          lines: items
            .map((item) =>
              sealFernet(key, Buffer.from(JSON.stringify(lineOf(item, claims[0] ?? {})))),
            )
            .map((token): unknown => JSON.parse(openFernet(key, token).toString('utf8'))),
        }),
      ),
    }),
    channel('import of memory.json', {
      namespaceName: 'graph',
      kinds: ['import'],
      trust: [2],
      send: inPieces((items) =>
        asOperator('graph', 'import', { memories: items.flatMap((item) => graphOf(item)) }),
      ),
    }),
  ]
}

/** One memory for one item: the text in a name, a kind of entity, an observation or a relation by turns. */
function graphOf(item: Sent): readonly unknown[] {
  const [, other = item.content] = Object.values(item)
  const text = typeof other === 'string' ? other : JSON.stringify(other)
  const forms = [
    { type: 'entity', name: 'Marta', entityType: 'person', observations: [text] },
    { type: 'entity', name: label(text), entityType: 'person', observations: ['lives in Lublin'] },
    { type: 'entity', name: 'Jonas', entityType: label(text), observations: [] },
    { type: 'relation', from: 'Marta', to: label(text), relationType: 'knows' },
  ]
  return memoriesOfRecord(forms[text.length % forms.length])
}

function inPieces(send: (items: readonly Sent[]) => Promise<void>): Channel['send'] {
  return async (items) => {
    for (let start = 0; start < items.length; start += pieceSize) {
      await send(items.slice(start, start + pieceSize))
    }
  }
}

function batches(caller: Caller): Channel['send'] {
  return inPieces(async (memories) => {
    const answer = await caller.call('store', { memories })
    if (answer.isError) throw new Error(answer.text)
  })
}

async function overRest(test: TestApp, namespaceName: string): Promise<Channel['send']> {
  const { key } = await issueKey(test, namespaceName)
  const rest = restClient(test, key)
  return async (items) => {
    for (const item of items) {
      const { status, text } = await rest('POST', '/memory', item)
      if (status !== 200 && status !== 201) throw new Error(text)
    }
  }
}

function singly(caller: Caller): Channel['send'] {
  return async (items) => {
    for (const item of items) {
      const answer = await caller.call('store', item)
      if (answer.isError) throw new Error(answer.text)
    }
  }
}

const exported = z.looseObject({
  id: z.string(),
  content: z.string(),
  source: z.looseObject({ kind: z.string(), trust: z.int() }),
  quarantine: z.array(z.string()).optional(),
})
export type Held = z.output<typeof exported>

/** What stands in a namespace, quarantined or not, as its administrator sees it. */
export async function heldIn({ app }: TestApp, namespaceName: string): Promise<Held[]> {
  const principal = {
    ...(await app.principal({ namespaceName, agent: 'root', channel: 'cli' })),
    scopes: new Set(allScopes),
  }
  const held: Held[] = []
  let cursor: string | undefined
  do {
    const page: { content: string; next_cursor?: string | undefined } = await app.execute(
      app.operations.export,
      principal,
      { include_quarantined: true, limit: 500, ...(cursor !== undefined && { cursor }) },
    )
    held.push(
      ...page.content
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => exported.parse(JSON.parse(line))),
    )
    cursor = page.next_cursor
  } while (cursor !== undefined)
  return held
}
