/** The keystore: life and death of epoch secrets, permissions, damage, racing and killed processes. */
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Keystore } from '../../src/crypto/keystore.ts'
import { compileInto } from './compiled.ts'
import { isFullRun } from './mutants.ts'

let folder = ''
let directory = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keystore-'))
  directory = join(folder, 'keystore')
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

const hasModes = process.platform !== 'win32'

/** Everything that stands in the namespace's files, to look for secrets in. */
async function contentsOf(namespace: bigint): Promise<string> {
  const path = join(directory, namespace.toString())
  const parts = (await readdir(path)).map((name) => readFile(join(path, name), 'utf8'))
  return (await Promise.all(parts)).join('')
}

const textOf = (secret: Uint8Array | undefined): string =>
  Buffer.from(secret ?? []).toString('base64')

describe('life of an epoch secret', () => {
  test('a created secret is read by every process that opens the directory', async () => {
    const created = await (await Keystore.open(directory)).create(7n)
    expect(created).toHaveLength(1)
    expect(created[0].epoch).toBe(1)
    expect(created[0].secret).toHaveLength(32)
    expect(await (await Keystore.open(directory)).get(7n)).toEqual(created)
  })

  test('namespaces have secrets of their own', async () => {
    const keystore = await Keystore.open(directory)
    const [one] = await keystore.create(1n)
    const [two] = await keystore.create(2n)
    expect(one.secret).not.toEqual(two.secret)
    expect(await keystore.list()).toEqual([1n, 2n])
  })

  test('rotation puts a new secret first and keeps the old one until it is destroyed', async () => {
    const keystore = await Keystore.open(directory)
    const [first] = await keystore.create(7n)
    const rotated = await keystore.rotate(7n)
    expect(rotated.map((each) => each.epoch)).toEqual([2, 1])
    expect(rotated[1]).toEqual(first)
    const left = await keystore.destroyOld(7n)
    expect(left).toEqual([rotated[0]])
    expect(await keystore.get(7n)).toEqual(left)
  })

  test('a destroyed secret stands in no file any more', async () => {
    const keystore = await Keystore.open(directory)
    const [first] = await keystore.create(7n)
    await keystore.rotate(7n)
    expect(await contentsOf(7n)).toContain(textOf(first.secret))
    await keystore.destroyOld(7n)
    expect(await contentsOf(7n)).not.toContain(textOf(first.secret))
    expect(await readdir(join(directory, '7'))).toHaveLength(1)
  })

  test('a destroyed namespace has no secret and gets none again', async () => {
    const keystore = await Keystore.open(directory)
    const [first] = await keystore.create(7n)
    await keystore.destroy(7n)
    expect(await keystore.get(7n)).toBeUndefined()
    expect(await contentsOf(7n)).not.toContain(textOf(first.secret))
    await expect(keystore.create(7n)).rejects.toMatchObject({ code: 'conflict' })
    await expect(keystore.rotate(7n)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('an unknown namespace has none, and a second create is refused', async () => {
    const keystore = await Keystore.open(directory)
    expect(await keystore.get(9n)).toBeUndefined()
    await expect(keystore.rotate(9n)).rejects.toMatchObject({ code: 'not_found' })
    await keystore.create(9n)
    await expect(keystore.create(9n)).rejects.toMatchObject({ code: 'conflict' })
  })

  test('rotations that are never finished are bounded', async () => {
    const keystore = await Keystore.open(directory)
    await keystore.create(7n)
    for (let epoch = 2; epoch <= 8; epoch += 1) await keystore.rotate(7n)
    await expect(keystore.rotate(7n)).rejects.toMatchObject({ code: 'conflict' })
    expect(await keystore.destroyOld(7n)).toHaveLength(1)
  })
})

describe('on disk', () => {
  test.skipIf(!hasModes)('folders are 0700 and files 0600', async () => {
    const keystore = await Keystore.open(directory)
    await keystore.create(7n)
    const [name = ''] = await readdir(join(directory, '7'))
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect((await stat(join(directory, '7'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(directory, '7', name))).mode & 0o777).toBe(0o600)
  })

  test.skipIf(!hasModes)(
    'a directory that others can open is refused with the command',
    async () => {
      await Keystore.open(directory)
      await chmod(directory, 0o755)
      await expect(Keystore.open(directory)).rejects.toThrow(`chmod 700 ${directory}`)
    },
  )

  test('a damaged newest file is an error; an older generation does not come back', async () => {
    const keystore = await Keystore.open(directory)
    await keystore.create(7n)
    const older = join(directory, '7', '0000000001.epochs')
    const saved = await readFile(older)
    await keystore.rotate(7n)
    const newest = join(directory, '7', '0000000002.epochs')
    const bytes = await readFile(newest)
    await writeFile(older, saved)
    for (const damaged of [
      bytes.subarray(0, bytes.length / 2),
      Buffer.alloc(0),
      Buffer.from(bytes.toString().replace('"epoch":2', '"epoch":3')),
      saved,
    ]) {
      await writeFile(newest, damaged)
      await expect(keystore.get(7n)).rejects.toThrow('damaged')
    }
  })

  test('what a killed writer left behind is removed by the next reader', async () => {
    const keystore = await Keystore.open(directory)
    const [first] = await keystore.create(7n)
    const older = join(directory, '7', '0000000001.epochs')
    const saved = await readFile(older)
    await keystore.rotate(7n)
    await keystore.destroyOld(7n)
    await writeFile(older, saved)
    await keystore.get(7n)
    expect(await contentsOf(7n)).not.toContain(textOf(first.secret))
  })

  test('a file of another namespace is not taken for its own', async () => {
    const keystore = await Keystore.open(directory)
    await keystore.create(7n)
    await keystore.create(8n)
    const name = '0000000001.epochs'
    await writeFile(join(directory, '7', name), await readFile(join(directory, '8', name)))
    await expect(keystore.get(7n)).rejects.toThrow('damaged')
  })
})

test('of many creates at once exactly one wins', async () => {
  const stores = await Promise.all(Array.from({ length: 8 }, () => Keystore.open(directory)))
  const results = await Promise.allSettled(stores.map((store) => store.create(7n)))
  const won = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  expect(won).toHaveLength(1)
  expect(await stores[0]?.get(7n)).toEqual(won[0])
})

/** Rotates and destroys until it is killed; prints the epoch after each finished change. */
const writerScript = `
  const { Keystore } = await import(process.argv[1])
  const keystore = await Keystore.open(process.argv[2])
  for (let count = 0; count < Number(process.argv[3]); count += 1) {
    for (const change of ['rotate', 'destroyOld']) {
      try {
        const epochs = await keystore[change](7n)
        process.stdout.write(change + ' ' + epochs[0].epoch + '\\n')
      } catch (error) {
        if (error.code !== 'conflict') throw error
      }
    }
  }
`

interface Writer {
  readonly lines: string[]
  readonly ended: Promise<number | null>
  kill(): void
}

function startWriter(module: string, changes: number): Writer {
  const args = ['--input-type=module', '-e', writerScript, module, directory, String(changes)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  child.stdout.on('data', (chunk: Buffer) => {
    lines.push(...chunk.toString().split('\n').filter(Boolean))
  })
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      resolve(code)
    })
  })
  return { lines, ended, kill: () => child.kill('SIGKILL') }
}

const lastEpochOf = (lines: readonly string[]): number => Number(lines.at(-1)?.split(' ')[1] ?? 0)

test('four processes that change one namespace at once lose no change', async () => {
  const module = await compileInto(folder, 'src/crypto/keystore.ts')
  await (await Keystore.open(directory)).create(7n)
  const writers = Array.from({ length: 4 }, () => startWriter(module, isFullRun ? 150 : 15))
  expect(await Promise.all(writers.map((writer) => writer.ended))).toEqual([0, 0, 0, 0])
  const rotations = writers
    .flatMap((writer) => writer.lines)
    .filter((line) => line.startsWith('rotate'))
  // Every rotation that was reported has an epoch number of its own.
  expect(new Set(rotations).size).toBe(rotations.length)
  const left = await (await Keystore.open(directory)).get(7n)
  expect(left?.[0].epoch).toBe(rotations.length + 1)
}, 240_000)

const kills = isFullRun ? 200 : 12

test(`a writer killed at any moment (${kills} times) leaves the keystore readable`, async () => {
  const module = await compileInto(folder, 'src/crypto/keystore.ts')
  const keystore = await Keystore.open(directory)
  await keystore.create(7n)
  for (let kill = 0; kill < kills; kill += 1) {
    const writer = startWriter(module, 1_000_000)
    // A different number of changes each time spreads the kills over all steps of a change.
    await expect
      .poll(() => writer.lines.length, { timeout: 20_000, interval: 1 })
      .toBeGreaterThan(kill % 7)
    writer.kill()
    await writer.ended
    const epochs = await keystore.get(7n)
    expect(epochs?.[0].epoch).toBeGreaterThanOrEqual(lastEpochOf(writer.lines))
  }
  const [newest] = await keystore.destroyOld(7n)
  expect(await readdir(join(directory, '7'))).toHaveLength(1)
  expect(await contentsOf(7n)).toContain(textOf(newest.secret))
}, 240_000)
