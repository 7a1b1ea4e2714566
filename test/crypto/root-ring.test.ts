/** Where root keys come from: text, file with its permissions, command with its deadline. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  createRootKeyFile,
  loadRootRing,
  parseRootKeys,
  rootKeyId,
} from '../../src/crypto/root-ring.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'root-ring-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

const isRoot = process.getuid?.() === 0
const hasModes = process.platform !== 'win32'

describe('text', () => {
  test('base64, base64url and hex give the same key and the same id', () => {
    const key = randomBytes(32)
    const ids = [key.toString('base64'), key.toString('base64url'), key.toString('hex')].map(
      (text) => parseRootKeys(text)[0].keyId,
    )
    expect(new Set(ids)).toEqual(new Set([rootKeyId(key)]))
    expect(parseRootKeys(key.toString('base64'))[0].bytes).toEqual(key)
  })

  test('the first key writes, the order is kept, comments are skipped', () => {
    const [one, two, three] = [randomBytes(32), randomBytes(32), randomBytes(32)]
    const text = `# ring\n${one.toString('base64')}, ${two.toString('hex')}\n  ${three.toString('base64')} # oldest\n`
    expect(parseRootKeys(text).map((key) => key.bytes)).toEqual([one, two, three])
  })

  test('a key id is positive and fits a Postgres integer', () => {
    for (let count = 0; count < 2000; count += 1) {
      const keyId = rootKeyId(randomBytes(32))
      expect(keyId >= 1 && keyId < 2 ** 31).toBe(true)
    }
  })

  test('what is no key is refused by position, without repeating it', () => {
    const good = randomBytes(32).toString('base64')
    const bad = ['hunter2hunter2', randomBytes(16).toString('base64'), `${good}AA`, 'z'.repeat(64)]
    for (const text of bad) {
      try {
        parseRootKeys(`${good} ${text}`)
        expect.unreachable()
      } catch (error) {
        expect(error).toMatchObject({ code: 'misconfigured' })
        expect(String(error)).toContain('Root key 2')
        expect(String(error)).not.toContain(text)
      }
    }
  })

  test('an empty ring, a typed key and a key given twice are refused', () => {
    const key = randomBytes(32)
    expect(() => parseRootKeys(' # nothing\n')).toThrow('no key')
    expect(() => parseRootKeys('00'.repeat(32))).toThrow('not random')
    expect(() => parseRootKeys(`${key.toString('hex')} ${key.toString('base64')}`)).toThrow('twice')
  })
})

describe('file', () => {
  test('a created key file holds a key that loads again and is readable by its owner only', async () => {
    const path = join(folder, 'keys', 'root.key')
    const created = await createRootKeyFile(path)
    const loaded = await loadRootRing({ file: path })
    expect(loaded?.[0]).toEqual(created[0])
    if (hasModes) {
      expect((await stat(path)).mode & 0o777).toBe(0o600)
      expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700)
    }
    expect(await readdir(join(folder, 'keys'))).toEqual(['root.key'])
  })

  test('an existing file is never overwritten', async () => {
    const path = join(folder, 'root.key')
    await createRootKeyFile(path)
    const before = await readFile(path)
    await expect(createRootKeyFile(path)).rejects.toMatchObject({ code: 'conflict' })
    expect(await readFile(path)).toEqual(before)
    expect(await readdir(folder)).toEqual(['root.key'])
  })

  test('of many creators at once one wins and its key is the one in the file', async () => {
    const path = join(folder, 'root.key')
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, () => createRootKeyFile(path)),
    )
    const winners = attempts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    expect(winners).toHaveLength(1)
    expect((await loadRootRing({ file: path }))?.[0]).toEqual(winners[0]?.[0])
  })

  test.skipIf(!hasModes)('a file that others can read is refused with the command', async () => {
    const path = join(folder, 'root.key')
    await createRootKeyFile(path)
    for (const mode of [0o640, 0o604, 0o660, 0o666, 0o601]) {
      await chmod(path, mode)
      await expect(loadRootRing({ file: path })).rejects.toThrow(`chmod 600 ${path}`)
    }
    await chmod(path, 0o400)
    if (!isRoot) await expect(loadRootRing({ file: path })).resolves.toBeDefined()
  })

  test('a missing file, a directory and a huge file are refused', async () => {
    const huge = join(folder, 'huge')
    await writeFile(huge, Buffer.alloc(100_000, 0x20), { mode: 0o600 })
    for (const file of [join(folder, 'none'), folder, huge]) {
      await expect(loadRootRing({ file })).rejects.toMatchObject({ code: 'misconfigured' })
    }
  })
})

describe('command', () => {
  const run = (script: string, commandDeadlineMs = 10_000) =>
    loadRootRing({ command: [process.execPath, '-e', script], commandDeadlineMs })

  test('the output of the command is the ring', async () => {
    const key = randomBytes(32)
    const ring = await run(`console.log(${JSON.stringify(key.toString('base64'))})`)
    expect(ring?.[0].bytes).toEqual(key)
  })

  test('arguments reach the program as they are: there is no shell', async () => {
    const key = randomBytes(32).toString('hex')
    const script =
      'if (process.argv[1] !== "$(id); `id` && *") process.exit(3); console.log(process.argv[2])'
    const command = [process.execPath, '-e', script, '$(id); `id` && *', key]
    await expect(loadRootRing({ command })).resolves.toBeDefined()
  })

  test('a command that hangs is killed at its deadline', async () => {
    await expect(run('setInterval(() => {}, 1000)', 300)).rejects.toThrow('SIGKILL (limit 300 ms)')
  })

  test('a failing, missing, empty or endless command stops the start', async () => {
    await expect(run('process.exit(7)')).rejects.toThrow('code 7')
    await expect(loadRootRing({ command: [join(folder, 'none')] })).rejects.toThrow('started')
    await expect(loadRootRing({ command: [] })).rejects.toThrow('empty')
    await expect(run('')).rejects.toThrow('no key')
    const endless = 'const c = "x".repeat(65536); (function f() { process.stdout.write(c, f) })()'
    await expect(run(endless)).rejects.toThrow('too much')
  })
})

test('two sources are refused and none is no ring', async () => {
  const value = randomBytes(32).toString('hex')
  await expect(loadRootRing({ value, file: 'x' })).rejects.toThrow('one way')
  await expect(loadRootRing({})).resolves.toBeUndefined()
})
