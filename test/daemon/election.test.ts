/** Who owns a data directory, among real processes. */
import {
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { candidate, elect, inspectLock, type LockRecord } from '../../src/daemon/election.ts'
import { daemonPaths } from '../../src/daemon/paths.ts'
import { compileFixtures, freshDirectory, run, type Running } from './program.ts'

const electors = 8
const isFull = process.env['FULL'] === '1'
const rounds = isFull ? 2000 : 60
const timeout = isFull ? 900_000 : 60_000

let compiled: Awaited<ReturnType<typeof compileFixtures>>
const running: Running[] = []

beforeAll(async () => {
  compiled = await compileFixtures()
})
afterAll(async () => {
  for (const { child } of running) child.kill('SIGKILL')
  await compiled.remove()
})

function startElector(): Running {
  const elector = run(join(compiled.directory, 'test/daemon/fixtures/elector.js'), [])
  running.push(elector)
  return elector
}

/** The record of a process that was real and is gone. */
async function deadRecord(): Promise<LockRecord> {
  const shortLived = run('-e', [
    'process.stdout.write(require("node:fs").readFileSync("/proc/self/stat","utf8"))',
  ])
  const stat = await shortLived.nextLine()
  await shortLived.exit
  const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  return { ...candidate('0.9.0'), pid: Number(stat.split(' ')[0]), startedAt }
}

function writeLock(directory: string, record: LockRecord, suffix = ''): void {
  writeFileSync(join(directory, `daemon.lock${suffix}`), JSON.stringify(record))
}

test(
  'of eight processes that start at once exactly one is elected, every time',
  { timeout },
  async () => {
    const taking = Array.from({ length: electors }, startElector)
    for (const elector of taking) expect(await elector.nextLine()).toBe('ready')
    const dead = await deadRecord()
    for (let round = 0; round < rounds; round++) {
      const directory = freshDirectory()
      // by turns: no lock, a dead lock, a dead lock whose first and second taker died as well
      const chain = Array.from({ length: round % 4 }, () => ({
        ...dead,
        token: candidate('').token,
      }))
      for (const [place, record] of chain.entries()) {
        const before = chain[place - 1]
        writeLock(directory, record, before === undefined ? '' : `.${before.token}.takeover`)
      }
      for (const elector of taking) elector.send(`elect ${directory}`)
      const answers = await Promise.all(taking.map(async (elector) => await elector.nextLine()))
      expect(answers.filter((answer) => answer === 'elected')).toHaveLength(1)
      const winner = taking[answers.indexOf('elected')]
      const losers = answers.filter((answer) => answer === `held ${String(winner?.child.pid)}`)
      expect(losers).toHaveLength(electors - 1)
      winner?.send('release')
      await winner?.nextLine()
      expect(readdirSync(directory)).toEqual([])
    }
  },
)

test(
  'a lock passes from owner to owner while owners are killed, never to two at once',
  { timeout },
  async () => {
    const directory = freshDirectory()
    let owner: Running | undefined
    for (let round = 0; round < Math.min(rounds, 400) / 10; round++) {
      const taking = Array.from({ length: 4 }, startElector)
      await Promise.all(taking.map(async (elector) => await elector.nextLine()))
      for (const elector of taking) elector.send(`elect ${directory}`)
      // killed while the others look at its lock
      owner?.child.kill('SIGKILL')
      const answers = await Promise.all(taking.map(async (elector) => await elector.nextLine()))
      await owner?.exit
      const winners = answers.filter((answer) => answer === 'elected')
      expect(winners.length).toBeLessThanOrEqual(1)
      const winner = taking[answers.indexOf('elected')]
      for (const elector of taking) if (elector !== winner) elector.child.kill('SIGKILL')
      owner = winner
    }
  },
)

/** The socket of a candidate that was killed before it came to the election. */
async function deadSocket(path: string): Promise<void> {
  const killed = run('-e', [
    `require("node:net").createServer().listen(${JSON.stringify(path)},()=>console.log("up"))`,
  ])
  running.push(killed)
  await killed.nextLine()
  killed.child.kill('SIGKILL')
  await killed.exit
}

test('whoever is elected removes the sockets of candidates that were killed, and no others', async () => {
  const directory = freshDirectory()
  const paths = daemonPaths(directory)
  const [dead, fresh, live] = [candidate(''), candidate(''), candidate('')].map(({ token }) =>
    paths.candidateSocket(token),
  )
  if (dead === undefined || fresh === undefined || live === undefined) throw new Error('three')
  await deadSocket(dead)
  await deadSocket(fresh)
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(live, resolve))
  const anHourAgo = Date.now() / 1000 - 3600
  for (const path of [dead, live]) utimesSync(path, anHourAgo, anHourAgo)
  writeFileSync(join(directory, 'sock.notes'), 'not a socket')
  expect((await elect(paths, candidate('1.0.0'))).kind).toBe('elected')
  // A refusal from a young socket may come from a candidate that has bound it and does not listen yet.
  expect([dead, fresh, live].map((path) => existsSync(path))).toEqual([false, true, true])
  expect(existsSync(join(directory, 'sock.notes'))).toBe(true)
  await new Promise<void>((resolve) => server.close(() => resolve()))
})

test('the lock of a live process is kept, however old it is', async () => {
  const directory = freshDirectory()
  const holder = startElector()
  await holder.nextLine()
  holder.send(`elect ${directory}`)
  expect(await holder.nextLine()).toBe('elected')
  const lock = join(directory, 'daemon.lock')
  utimesSync(lock, 0, 0)
  holder.child.kill('SIGSTOP') // asleep, as a laptop would be
  const election = await elect(daemonPaths(directory), candidate('2.0.0'))
  holder.child.kill('SIGCONT')
  expect(election).toMatchObject({ kind: 'held', holder: { pid: holder.child.pid } })
})

test('a lock whose number now belongs to another process is taken over', async () => {
  const directory = freshDirectory()
  const other = startElector()
  await other.nextLine()
  const record = { ...candidate('1.0.0'), pid: other.child.pid ?? 0, startedAt: '1' }
  writeLock(directory, record)
  const election = await elect(daemonPaths(directory), candidate('1.0.0'))
  expect(election.kind).toBe('elected')
})

test('a lock from before the last boot is taken over', async () => {
  const directory = freshDirectory()
  writeLock(directory, { ...candidate('1.0.0'), bootId: 'another-boot' })
  expect((await elect(daemonPaths(directory), candidate('1.0.0'))).kind).toBe('elected')
})

test('a lock of another machine is an error that names the file, not a takeover', async () => {
  const directory = freshDirectory()
  const foreign = { ...candidate('1.0.0'), bootId: 'another-boot', hostname: 'another-host' }
  writeLock(directory, foreign)
  const outcome = elect(daemonPaths(directory), candidate('1.0.0'))
  await expect(outcome).rejects.toMatchObject({ code: 'misconfigured' })
  await expect(outcome).rejects.toThrow(join(directory, 'daemon.lock'))
  expect(JSON.parse(readFileSync(join(directory, 'daemon.lock'), 'utf8'))).toEqual(foreign)
})

test('a lock of another container is judged by its socket: it answers or it is dead', async () => {
  const directory = freshDirectory()
  const paths = daemonPaths(directory)
  writeLock(directory, { ...candidate('1.0.0'), pidNamespace: 'pid:[1]' })
  await expect(elect(paths, candidate('1.0.0'))).rejects.toMatchObject({ code: 'misconfigured' })
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(paths.socket, resolve))
  expect((await elect(paths, candidate('1.0.0'))).kind).toBe('held')
  // a process that was killed leaves its socket file behind, and the kernel refuses
  await deadSocket(`${paths.socket}.x`)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  renameSync(`${paths.socket}.x`, paths.socket)
  expect((await elect(paths, candidate('1.0.0'))).kind).toBe('elected')
})

test('a lock that cannot be read stops the start and stays', async () => {
  const directory = freshDirectory()
  writeFileSync(join(directory, 'daemon.lock'), '{"pid":')
  const outcome = elect(daemonPaths(directory), candidate('1.0.0'))
  await expect(outcome).rejects.toMatchObject({ code: 'misconfigured' })
  expect(existsSync(join(directory, 'daemon.lock'))).toBe(true)
})

test('release removes only the own lock', async () => {
  const directory = freshDirectory()
  const election = await elect(daemonPaths(directory), candidate('1.0.0'))
  if (election.kind !== 'elected') throw new Error('nobody else is here')
  const successor = candidate('1.0.0')
  writeLock(directory, successor)
  election.lock.release()
  expect((await inspectLock(daemonPaths(directory)))?.holder.token).toBe(successor.token)
})
