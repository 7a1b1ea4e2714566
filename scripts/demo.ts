/**
 * `npm run demo`: launches the built server as an IDE would and shows, through an official client,
 * what it does with a shop's notes. Exit code 1 when a step does not do what it says.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { z } from 'zod'
import {
  call,
  exported,
  forgotten,
  inherited,
  note,
  notesFile,
  recalled,
  StepFailed,
  stored,
  type Memory,
} from './demo-client.ts'
import { aside, answer, bad, caption, good, heading, title, verbatim } from './demo-screen.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
/** Another build may be named as the first argument. */
const main = resolve(process.argv[2] ?? join(repository, 'dist/main.js'))

/** Questions whose note must be among the first three answers, of ten. */
const foundMin = 8
const answersShown = 3

function expect(isTrue: boolean, success: string, failure: string): void {
  if (!isTrue) throw new StepFailed(failure)
  good(success)
}

async function connect(environment: Record<string, string>): Promise<Client> {
  heading('Launch it as a client would')
  const client = new Client(
    { name: 'mindglue-demo', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  )
  const startedAt = performance.now()
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [main],
      env: { ...inherited(), ...environment },
    }),
  )
  const { tools } = await client.listTools()
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const { name = 'the server', version = '' } = client.getServerVersion() ?? {}
  good(`${name} ${version} answers on stdio, from an empty directory in ${seconds} s`)
  aside(`tools: ${tools.map((tool) => tool.name).join(', ')}`)
  return client
}

interface Stored {
  readonly idOf: ReadonlyMap<string, string>
  readonly expiring: { readonly id: string; readonly content: string; readonly at: number }
}

async function store(client: Client, notes: readonly z.output<typeof note>[]): Promise<Stored> {
  heading(`Store ${notes.length} notes of a bicycle shop`)
  const lasting = notes.filter((one) => one.ttl_seconds === undefined)
  const memories = lasting.map(fieldsOf)
  const { output, milliseconds } = await call(client, 'store', { memories }, stored)
  expect(
    output.stored === lasting.length,
    `${output.stored} memories in one transaction, on disk, in ${milliseconds.toFixed(0)} ms`,
    `only ${output.stored} of ${lasting.length} were stored`,
  )
  const turns = notes.filter(({ speaker }) => speaker !== undefined).length
  aside(`facts, preferences, decisions, procedures, ${turns} turns of a conversation`)
  const shortLived = notes.filter((one) => one.ttl_seconds !== undefined)
  return {
    idOf: new Map(lasting.map(({ key }, place) => [key, output.results[place]?.id ?? ''])),
    expiring: await storeExpiring(client, shortLived),
  }
}

/** The key is the demo's own name of a note. */
function fieldsOf({ key: _key, ...fields }: z.output<typeof note>): Record<string, unknown> {
  return fields
}

async function storeExpiring(
  client: Client,
  [one]: readonly z.output<typeof note>[],
): Promise<Stored['expiring']> {
  if (one?.ttl_seconds === undefined) throw new StepFailed('no note has an expiry')
  const [result] = (await call(client, 'store', fieldsOf(one), stored)).output.results
  if (result?.expires_at === undefined) throw new StepFailed('the expiry was not taken')
  const expiring = { id: result.id, content: one.content, at: Date.parse(result.expires_at) }
  const isThere = await isKnown(client, expiring.id)
  // On a machine so busy that this took seconds it has gone already, as it should.
  const state = isThere ? 'there now' : 'gone already'
  expect(
    isThere || Date.now() >= expiring.at,
    `and one that expires after ${one.ttl_seconds} s: ${state}`,
    'the note that expires later is not there',
  )
  return expiring
}

async function isKnown(client: Client, id: string): Promise<boolean> {
  const answered = z.object({ missing: z.array(z.string()).optional() })
  const { output } = await call(client, 'recall', { ids: [id] }, answered)
  return output.missing === undefined || output.missing.length === 0
}

async function ask(
  client: Client,
  questions: z.output<typeof notesFile>['questions'],
  { idOf }: Stored,
): Promise<void> {
  heading(`Ask ${questions.length} questions`)
  const times: number[] = []
  let found = 0
  for (const { question, expects } of questions) {
    const input = { query: question, limit: answersShown }
    const { output, milliseconds } = await call(client, 'recall', input, recalled)
    const [best] = output.results
    if (best === undefined) throw new StepFailed(`no answer to: ${question}`)
    const place = output.results.findIndex(({ id }) => id === idOf.get(expects)) + 1
    times.push(milliseconds)
    if (place > 0) found += 1
    answer({
      question,
      content: best.content,
      provenance: provenance(best),
      score: best.score ?? 0,
      milliseconds,
      place: place > 0 ? place : undefined,
    })
  }
  const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0
  const result = `${found} of ${questions.length} expected notes are among the first three`
  const detail = `${result}, median ${median.toFixed(0)} ms`
  process.stdout.write('\n')
  expect(found >= foundMin, detail, `${detail}; at least ${foundMin} were due`)
}

/** Where an answer comes from: what it is, when, who said it, in which conversation, how far to trust it. */
function provenance(found: Memory): string[] {
  const { type, speaker, session, event_date: event, source } = found
  return [
    type,
    `told ${found.occurred_at.slice(0, 10)}`,
    ...(event === undefined ? [] : [`speaks of ${event}`]),
    ...(speaker === undefined ? [] : [`by ${speaker}`]),
    ...(session === undefined ? [] : [`in session ${session}`]),
    `from ${source.kind} ${found.owner_agent}, trust ${source.trust} of 3`,
  ]
}

async function expire(client: Client, { expiring }: Stored): Promise<void> {
  heading('Wait for the note that expires')
  aside(`“${expiring.content}”`)
  const left = expiring.at - Date.now()
  if (left > 0) await delay(left)
  expect(
    !(await isKnown(client, expiring.id)),
    'gone at the moment it expired, from every answer',
    'an expired memory was still answered',
  )
}

async function exportAll(client: Client): Promise<number> {
  heading('Export everything')
  let [count, bytes] = [0, 0]
  let cursor: string | undefined
  let first = ''
  do {
    const input = { ...(cursor !== undefined && { cursor }) }
    const { output } = await call(client, 'export', input, exported)
    first ||= output.content.split('\n')[0] ?? ''
    count += output.count
    bytes += Buffer.byteLength(output.content)
    cursor = output.next_cursor
  } while (cursor !== undefined)
  expect(count > 0, `${count} memories, ${(bytes / 1000).toFixed(1)} kB of JSON Lines`, 'no lines')
  aside(`${first.slice(0, 150)}…`)
  aside('On the command line: mindglue export memories.jsonl')
  return count
}

async function forget(client: Client, tag: string, before: number): Promise<void> {
  heading(`Forget what carries the tag “${tag}”`)
  const dry = (await call(client, 'forget', { tag, dry_run: true }, forgotten)).output
  expect(
    dry.status === 'dry_run' && dry.memories === 2,
    `a dry run counts ${dry.memories} memories and deletes nothing`,
    `the dry run counted ${dry.memories}`,
  )
  const asked = (await call(client, 'forget', { tag }, forgotten)).output
  const token = asked.confirm_token ?? ''
  expect(
    asked.status === 'confirmation_required' && token !== '',
    `more than one memory: it asks first, token ${token.slice(0, 8)}…`,
    'it did not ask for a confirmation',
  )
  const done = (await call(client, 'forget', { confirm_token: token }, forgotten)).output
  expect(
    done.status === 'forgotten' && done.memories === 2,
    `confirmed: ${done.memories} memories are gone for good, with every name only they mentioned`,
    `the confirmed request ended as ${done.status}`,
  )
  const left = (await call(client, 'recall', { tags: [tag] }, recalled)).output.results
  const page = (await call(client, 'export', { limit: 500, max_tokens: 200_000 }, exported)).output
  expect(
    left.length === 0 && page.count === before - 2,
    `${page.count} memories remain, none with that tag`,
    'a forgotten memory was still there',
  )
}

function showConfiguration(): void {
  const server = { command: process.execPath, args: [main] }
  const json = (value: unknown): string =>
    JSON.stringify(value, null, 2).replaceAll(/\[\s+("[^\n]*")\s+\]/gu, '[$1]')
  const shellPath = (path: string): string => (/^[\w/.:@-]+$/u.test(path) ? path : `"${path}"`)
  heading('Use it: paste one of these')
  caption('Claude Code', 'in a terminal')
  verbatim(`claude mcp add mindglue -- ${shellPath(process.execPath)} ${shellPath(main)}`)
  caption('Claude Desktop', 'claude_desktop_config.json: Settings → Developer → Edit Config')
  aside('Cursor takes the same, in ~/.cursor/mcp.json or .cursor/mcp.json of a project')
  verbatim(json({ mcpServers: { mindglue: server } }))
  caption('VS Code', '.vscode/mcp.json in a project')
  verbatim(json({ servers: { mindglue: { type: 'stdio', ...server } } }))
  process.stdout.write('\n')
}

async function demo(): Promise<number> {
  if (!existsSync(main)) {
    bad(`${main} is missing; run npm run build`)
    return 1
  }
  const path = join(repository, 'assets/demo/notes.json')
  const { notes, questions, forget: wish } = notesFile.parse(JSON.parse(readFileSync(path, 'utf8')))
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-demo-'))
  const environment = {
    MINDGLUE_DATA_DIR: join(directory, 'data'),
    MINDGLUE_KEY_DIR: join(directory, 'keys'),
    MINDGLUE_AGENT: 'demo',
  }
  let client: Client | undefined
  try {
    title('MindGlue', 'memory for AI agents; this demo keeps its data in a temporary directory')
    client = await connect(environment)
    const open = client
    process.once('SIGINT', () => void open.close())
    const kept = await store(client, notes)
    await ask(client, questions, kept)
    await expire(client, kept)
    const count = await exportAll(client)
    await forget(client, wish.tag, count)
    showConfiguration()
    return 0
  } catch (error) {
    bad(error instanceof Error ? error.message : String(error))
    return 1
  } finally {
    await client?.close()
    const env = { ...inherited(), ...environment }
    spawnSync(process.execPath, [main, 'daemon', 'stop'], { env, stdio: 'ignore' })
    rmSync(directory, { recursive: true, force: true })
  }
}

process.exitCode = await demo()
