/** Settings: precedence, refusals, masking, and a reference page that is true. */
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configurationReference } from '../src/config/reference.ts'
import {
  exposedSettings,
  isLoopback,
  loadConfig,
  reportSettings,
  secretValues,
  type Environment,
  type Overrides,
} from '../src/config.ts'
import { AppError } from '../src/errors.ts'

function refusal(environment: Environment, overrides: Overrides = {}): AppError {
  try {
    loadConfig(environment, overrides)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}

const longKey = 'correct-horse-battery-staple-0123456789'

describe('values', () => {
  test('an empty environment gives a local server on loopback with the embedded database', () => {
    const config = loadConfig({})
    expect(config).toMatchObject({
      databaseUrl: undefined,
      redisUrl: undefined,
      namespaceName: 'default',
      httpHost: '127.0.0.1',
      httpPort: 7337,
      sidecarHost: '127.0.0.1',
      embedder: 'static',
    })
    expect(config.dataDirectory).toMatch(/mindglue/u)
    expect(config.agent).not.toBe('')
  })

  test('the command line wins over the environment, which wins over the default', () => {
    expect(loadConfig({ MINDGLUE_HTTP_PORT: '8001' }).httpPort).toBe(8001)
    expect(loadConfig({ MINDGLUE_HTTP_PORT: '8001' }, { httpPort: '8002' }).httpPort).toBe(8002)
  })

  test('a configuration cannot be changed, not even inside its lists', () => {
    const config = loadConfig({ MINDGLUE_ALLOWED_HOSTS: 'a.example, b.example' })
    expect(config.allowedHosts).toEqual(['a.example', 'b.example'])
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.allowedHosts)).toBe(true)
    expect(Object.isFrozen(config.metricsNamespaces)).toBe(true)
  })

  test.each(['', '   ', '${DATABASE_URL}', '${DATABASE_URL:-none}', '${input:database}'])(
    'the value %j of a client that expands nothing counts as unset',
    (value) => {
      expect(loadConfig({ DATABASE_URL: value }).databaseUrl).toBeUndefined()
    },
  )

  test('a data directory is one absolute place whatever the working directory', () => {
    expect(loadConfig({ MINDGLUE_DATA_DIR: 'memories' }).dataDirectory).toBe(
      join(process.cwd(), 'memories'),
    )
    expect(loadConfig({ MINDGLUE_DATA_DIR: '~/memories' }).dataDirectory).not.toContain('~')
  })

  test('a secret may stand in a file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'mindglue-config-')), 'key')
    writeFileSync(file, `${longKey}\n`)
    expect(loadConfig({ MINDGLUE_API_KEY_FILE: file }).apiKey).toBe(longKey)
    expect(refusal({ MINDGLUE_API_KEY_FILE: file, MINDGLUE_API_KEY: longKey }).publicMessage).toBe(
      'MINDGLUE_API_KEY and MINDGLUE_API_KEY_FILE are both set; keep one.',
    )
    expect(refusal({ MINDGLUE_API_KEY_FILE: `${file}-missing` }).publicMessage).toMatch(
      /MINDGLUE_API_KEY_FILE names a file that cannot be read/u,
    )
    writeFileSync(file, '\n')
    expect(refusal({ MINDGLUE_API_KEY_FILE: file }).publicMessage).toMatch(/empty file/u)
  })

  test.skipIf(process.platform === 'win32')(
    'a secret’s file that others can write is refused, and one that they can read is named',
    () => {
      const file = join(mkdtempSync(join(tmpdir(), 'mindglue-config-')), 'key')
      writeFileSync(file, longKey)
      const environment = { MINDGLUE_API_KEY_FILE: file }
      for (const mode of [0o620, 0o602, 0o666, 0o664]) {
        chmodSync(file, mode)
        const { code, publicMessage } = refusal(environment)
        expect([code, publicMessage]).toEqual([
          'misconfigured',
          'MINDGLUE_API_KEY_FILE names a file that other users can write; run chmod go-w on it.',
        ])
      }
      for (const [mode, exposed] of [
        [0o600, []],
        [0o440, []],
        [0o644, ['MINDGLUE_API_KEY_FILE']],
        [0o444, ['MINDGLUE_API_KEY_FILE']],
      ] as const) {
        chmodSync(file, mode)
        const config = loadConfig(environment)
        expect(config.apiKey).toBe(longKey)
        expect(exposedSettings(config)).toEqual(exposed)
      }
    },
  )
})

describe('refusals', () => {
  test.each([
    ['MINDGLUE_DATA_DIRECTORY', 'MINDGLUE_DATA_DIR'],
    ['MINDGLUE_HTTP_PROT', 'MINDGLUE_HTTP_PORT'],
    ['MINDGLUE_NAMESPACES', 'MINDGLUE_NAMESPACE'],
    ['MINDGLUE_API_KEY_FLIE', 'MINDGLUE_API_KEY_FILE'],
  ])('the unknown name %s is refused with its nearest name %s', (name, nearest) => {
    const error = refusal({ [name]: 'x' })
    expect(error.code).toBe('misconfigured')
    expect(error.publicMessage).toBe(
      `${name} is not a setting; did you mean ${nearest}? \`mindglue config\` lists all.`,
    )
  })

  test.each<[Environment, RegExp]>([
    [{ MINDGLUE_HTTP_PORT: '65536' }, /MINDGLUE_HTTP_PORT must be a whole number from 0 to 65535/u],
    [{ MINDGLUE_HTTP_PORT: '1e3' }, /MINDGLUE_HTTP_PORT must be a whole number/u],
    [{ MINDGLUE_PURGE_INTERVAL_SECONDS: '60' }, /from 1 to 30/u],
    [{ MINDGLUE_LOG_LEVEL: 'loud' }, /must be one of: fatal, error, warn/u],
    [{ MINDGLUE_NAMESPACE: 'Mine' }, /MINDGLUE_NAMESPACE must be lower-case letters/u],
    [{ MINDGLUE_AGENT: 'a\u0007b' }, /MINDGLUE_AGENT holds a control character/u],
    [{ MINDGLUE_AGENT: 'a'.repeat(200) }, /is 200 characters long; at most 128/u],
    [{ DATABASE_URL: 'mysql://db' }, /DATABASE_URL must be a URL that starts with postgres:\/\//u],
    [{ REDIS_URL: 'localhost:6379' }, /REDIS_URL must be a URL that starts with redis:\/\//u],
    [{ MINDGLUE_API_KEY: 'short' }, /shorter than 24 characters; make one with/u],
    [{ MINDGLUE_HTTP_HOST: '0.0.0.0' }, /so MINDGLUE_API_KEY must be set/u],
    [{ MINDGLUE_HTTP_HOST: '0.0.0.0', MINDGLUE_API_KEY: longKey }, /only HTTPS is served/u],
    [{ MINDGLUE_METRICS_KEY: 'short' }, /shorter than 24 characters; make one with/u],
    [
      { MINDGLUE_METRICS_KEY: longKey, MINDGLUE_API_KEY: longKey },
      /must differ from MINDGLUE_API/u,
    ],
    [
      { MINDGLUE_REPLICAS: '61' },
      /MINDGLUE_PLAN_REQUESTS has a plan with fewer requests than MIND/u,
    ],
    [{ MINDGLUE_TLS_CERT: '/x.pem' }, /belong together/u],
    [{ MIGRATION_DATABASE_URL: 'postgres://a@db/x' }, /without DATABASE_URL/u],
    [{ MINDGLUE_OAUTH_ISSUER: 'https://id.example' }, /needs MINDGLUE_PUBLIC_URL/u],
    [{ MINDGLUE_OAUTH_ISSUER: 'http://id.example' }, /must start with https:\/\//u],
    [{ MINDGLUE_OAUTH_ISSUER: 'https://id.example?x' }, /no user, query or fragment/u],
    [{ MINDGLUE_PUBLIC_URL: 'https://memory.example/prefix' }, /must have no path/u],
    [{ MINDGLUE_OAUTH_ALGORITHMS: 'RS256, HS256' }, /must be one of: EdDSA/u],
    [{ MINDGLUE_OAUTH_ALGORITHMS: 'none' }, /must be one of: EdDSA/u],
    [{ MINDGLUE_OAUTH_SCOPE_NAMES: 'x=memory:all' }, /must be one of: memory:read/u],
    [{ MINDGLUE_EMBEDDER: 'openai' }, /MINDGLUE_EMBEDDER=openai needs MINDGLUE_EMBEDDER_URL/u],
    [{ MINDGLUE_EMBEDDER: 'transformers' }, /needs MINDGLUE_EMBEDDER_MODEL/u],
    [
      { MINDGLUE_EMBEDDER: 'multilingual', MINDGLUE_EMBEDDER_MODEL: 'bge-m3' },
      /brings its own model: unset MINDGLUE_EMBEDDER_MODEL/u,
    ],
  ])('%j is refused with the setting and what to do', (environment, message) => {
    const error = refusal(environment)
    expect(error.code).toBe('misconfigured')
    expect(error.publicMessage).toMatch(message)
  })

  test('no refusal repeats the value, which may be a secret in the wrong place', () => {
    const canary = 'canary-8f14e45f'
    const names = reportSettings(loadConfig({})).map((row) => row.name)
    for (const name of names) {
      try {
        loadConfig({ [name]: `${canary}\u0000` })
      } catch (error) {
        expect(String(error) + JSON.stringify(error)).not.toContain(canary)
      }
    }
    expect(names.length).toBeGreaterThan(30)
  })

  test('listening beyond loopback is accepted with an issuer of tokens in place of a key', () => {
    const config = loadConfig({
      MINDGLUE_HTTP_HOST: '0.0.0.0',
      MINDGLUE_BEHIND_PROXY: '10.0.0.0/8',
      MINDGLUE_PUBLIC_URL: 'https://Memory.example:443/',
      MINDGLUE_OAUTH_ISSUER: 'https://id.example/tenant/',
      MINDGLUE_OAUTH_SCOPE_NAMES: 'Memory.Read=memory:read',
    })
    expect(config).toMatchObject({
      publicUrl: 'https://memory.example',
      oauthIssuer: 'https://id.example/tenant/',
      oauthScopeNames: ['Memory.Read=memory:read'],
    })
  })

  test('more processes than requests of a plan are accepted with Redis, or without limits', () => {
    for (const more of [{ REDIS_URL: 'redis://cache' }, { MINDGLUE_LIMITS: 'off' }]) {
      expect(loadConfig({ MINDGLUE_REPLICAS: '61', ...more }).replicas).toBe(61)
    }
  })

  test('listening beyond loopback is accepted with a key', () => {
    expect(
      loadConfig({
        MINDGLUE_HTTP_HOST: '0.0.0.0',
        MINDGLUE_API_KEY: longKey,
        MINDGLUE_BEHIND_PROXY: '10.0.0.0/8',
      }).httpHost,
    ).toBe('0.0.0.0')
  })
})

describe('loopback', () => {
  test.each(['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost'])('%s is loopback', (host) => {
    expect(isLoopback(host)).toBe(true)
  })
  test.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.org', 'localhost.example.org'])(
    '%s is not',
    (host) => {
      expect(isLoopback(host)).toBe(false)
    },
  )
})

describe('what is shown', () => {
  test('the report masks every secret and keeps where a URL points', () => {
    const config = loadConfig({
      DATABASE_URL: 'postgres://app:pa55word@db.example:5432/memories?password=pa55word',
      MINDGLUE_API_KEY: longKey,
    })
    const report = reportSettings(config)
    const value = (name: string) => report.find((row) => row.name === name)
    expect(value('DATABASE_URL')).toMatchObject({
      value: 'postgres://***@db.example:5432/memories',
      source: 'environment',
    })
    expect(value('MINDGLUE_API_KEY')?.value).toBe('(set, hidden)')
    expect(value('REDIS_URL')?.value).toBe('(unset)')
    expect(JSON.stringify(report)).not.toMatch(/pa55word|correct-horse/u)
  })

  test('the report says where a value came from', () => {
    const config = loadConfig(
      { MINDGLUE_AGENT: 'ada', REDIS_URL: '${REDIS_URL}' },
      { namespaceName: 'team' },
    )
    const source = (name: string) => reportSettings(config).find((row) => row.name === name)?.source
    expect(source('MINDGLUE_AGENT')).toBe('environment')
    expect(source('MINDGLUE_NAMESPACE')).toBe('command line')
    expect(source('REDIS_URL')).toBe('unexpanded')
    expect(source('MINDGLUE_HTTP_PORT')).toBe('default')
  })

  test('every secret is known to the net under the log', () => {
    const config = loadConfig({
      MINDGLUE_API_KEY: longKey,
      REDIS_URL: 'redis://cache',
      MINDGLUE_AGENT: 'ada',
    })
    expect(secretValues(config)).toEqual(['redis://cache', longKey])
  })

  test('docs/configuration.md is what the table prints', () => {
    const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')
    expect(page).toBe(configurationReference())
  })
})
