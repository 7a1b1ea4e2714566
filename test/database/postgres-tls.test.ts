/** TLS to Postgres: verified in full by default, and never given up for plain text. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPostgres } from '../../src/database/postgres.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { codeOf, through } from './fixtures/postgres.ts'
import { openProxy } from './fixtures/proxy.ts'

let fresh: TestDatabase
let server: { host: string; port: number }

beforeAll(async () => {
  fresh = await openTestDatabase()
  const url = new URL(fresh.url)
  server = { host: url.hostname, port: Number(url.port || '5432') }
})
afterAll(() => fresh.close())

describe('TLS', () => {
  let directory: string
  let context: SecureContext
  const certificate = () => join(directory, 'localhost.crt')

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'mindglue-tls-'))
    const key = join(directory, 'localhost.key')
    execFileSync(
      'openssl',
      // prettier-ignore
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key,
        '-out', certificate()],
      { stdio: 'ignore' },
    )
    context = createSecureContext({ key: readFileSync(key), cert: readFileSync(certificate()) })
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  async function tryWith(host: string, query: string, tls: SecureContext | undefined) {
    const proxy = await openProxy(server, tls)
    const url = new URL(through(fresh.url, proxy.port, query))
    url.hostname = host
    const outcome = await codeOf(
      openPostgres({ url: url.href, connectTimeoutMs: 3000 }).then((database) => database.close()),
    )
    await proxy.close()
    return outcome
  }
  const worked = 'not an AppError: resolved'

  test('is verified in full unless the URL says otherwise', async () => {
    const root = `sslrootcert=${encodeURIComponent(certificate())}`
    expect(await tryWith('localhost', `sslmode=verify-full&${root}`, context)).toBe(worked)
    expect(await tryWith('localhost', root, context)).toBe(worked)
    expect(await tryWith('localhost', 'sslmode=verify-full', context)).toBe('misconfigured')
    expect(await tryWith('127.0.0.1', `sslmode=verify-full&${root}`, context)).toBe('misconfigured')
    expect(await tryWith('127.0.0.1', `sslmode=verify-ca&${root}`, context)).toBe(worked)
    expect(await tryWith('localhost', 'sslmode=require', context)).toBe(worked)
    expect(await tryWith('localhost', 'sslmode=require&channel_binding=require', context)).toBe(
      'misconfigured',
    )
  })

  test('is never given up for plain text', async () => {
    expect(await tryWith('localhost', 'sslmode=require', undefined)).toBe('misconfigured')
    expect(await tryWith('localhost', 'sslmode=disable', undefined)).toBe(worked)
  })
})
