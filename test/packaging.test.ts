/** What is shipped and how it is launched: files agree with each other and name things that exist. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../src/config.ts'
import { trustedProxies } from '../src/http/client-address.ts'
import { version } from '../src/version.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const manifest = z
  .looseObject({
    name: z.string(),
    version: z.string(),
    mcpName: z.string(),
    bin: z.record(z.string(), z.string()),
    files: z.array(z.string()),
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read('package.json')))

describe('one name and one version', () => {
  test('in package.json, the program and server.json', () => {
    const registry = z
      .looseObject({
        $schema: z.url(),
        name: z.string(),
        description: z.string().max(100),
        version: z.string(),
        packages: z.array(z.looseObject({ identifier: z.string(), version: z.string() })),
      })
      .parse(JSON.parse(read('server.json')))
    expect(version).toBe(manifest.version)
    expect(registry.name).toBe(manifest.mcpName)
    expect(registry.version).toBe(manifest.version)
    for (const shipped of registry.packages) {
      expect(shipped).toMatchObject({ identifier: manifest.name, version: manifest.version })
    }
  })

  test('in the label of the container and in the changelog', () => {
    expect(read('Dockerfile')).toContain(
      `LABEL io.modelcontextprotocol.server.name="${manifest.mcpName}"`,
    )
    expect(read('CHANGELOG.md')).toMatch(/^## (?:Unreleased|\d+\.\d+\.\d+)/mu)
  })
})

test('the lock file serves every platform: each optional build of a package is in it', () => {
  const lock = z
    .looseObject({
      packages: z.record(
        z.string(),
        z.looseObject({ optionalDependencies: z.record(z.string(), z.string()).optional() }),
      ),
    })
    .parse(JSON.parse(read('package-lock.json')))
  const builds = Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).map((name) => ({ path, name })),
  )
  const missing = builds.filter(
    ({ path, name }) =>
      !(`${path}/node_modules/${name}` in lock.packages) &&
      !(`node_modules/${name}` in lock.packages),
  )
  expect(builds.length).toBeGreaterThan(20)
  expect(missing).toEqual([])
})

describe('client configurations', () => {
  const launch = z.looseObject({
    command: z.string(),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()).optional(),
  })
  const remote = z.looseObject({ url: z.url(), headers: z.record(z.string(), z.string()) })
  const file = z.union([
    z.looseObject({ mcpServers: z.object({ mindglue: z.union([launch, remote]) }) }),
    z.looseObject({ servers: z.object({ mindglue: z.union([launch, remote]) }) }),
  ])
  const paths = [
    'mcp.json',
    '.mcp.json',
    '.cursor/mcp.json',
    '.vscode/mcp.json',
    ...readdirSync(join(root, 'examples'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => `examples/${name}`),
  ]

  test.each(paths)('%s launches this program or reaches this server', (path) => {
    const parsed = file.parse(JSON.parse(read(path)))
    const entry = 'servers' in parsed ? parsed['servers'] : parsed['mcpServers']
    const { mindglue } = z.object({ mindglue: z.union([launch, remote]) }).parse(entry)
    if ('url' in mindglue) {
      expect(mindglue.url).toBe(`http://127.0.0.1:${loadConfig({}).httpPort}/mcp`)
      return
    }
    const target = mindglue.args.at(-1)
    expect([manifest.name, manifest.bin['mindglue']]).toContain(
      target?.replace('${workspaceFolder}/', ''),
    )
    expect(() => loadConfig(mindglue.env ?? {})).not.toThrow()
  })
})

describe('the package', () => {
  test('ships what the program reads and nothing of the tests', () => {
    for (const path of manifest.files) {
      // dist is made by the build.
      if (path !== 'dist') expect(existsSync(join(root, path))).toBe(true)
    }
    expect(manifest.files).not.toContain('test')
  })

  test('runs no script when it is installed', () => {
    const risky = ['preinstall', 'install', 'postinstall', 'prepare']
    expect(Object.keys(manifest.scripts).filter((name) => risky.includes(name))).toEqual([])
  })

  test('pins every dependency exactly', () => {
    for (const range of Object.values(manifest.dependencies)) {
      expect(range).toMatch(/^\d+\.\d+\.\d+(?:-[\w.]+)?$/u)
    }
  })

  test('names scripts whose files exist', () => {
    for (const command of Object.values(manifest.scripts)) {
      for (const [path] of command.matchAll(/(?:scripts|bench|test)\/[\w/-]+\.(?:ts|mjs|sh)/gu)) {
        expect(existsSync(join(root, path)), path).toBe(true)
      }
    }
  })
})

const composition = z
  .looseObject({
    services: z.record(
      z.string(),
      z.looseObject({
        image: z.string(),
        restart: z.string(),
        environment: z.record(z.string(), z.string()).default({}),
        volumes: z.array(z.string()).default([]),
        ports: z.array(z.string()).default([]),
        depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
        entrypoint: z.array(z.string()).optional(),
        healthcheck: z.looseObject({ test: z.array(z.string()).optional() }).optional(),
      }),
    ),
    networks: z.object({
      default: z.object({
        ipam: z.object({ config: z.tuple([z.object({ subnet: z.string(), gateway: z.ipv4() })]) }),
      }),
    }),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(parse(read('compose.yaml')))

describe('compose.yaml', () => {
  const { services, volumes } = composition

  test('depends on services and volumes that exist, healthy where health is waited for', () => {
    for (const service of Object.values(services)) {
      for (const [name, { condition }] of Object.entries(service.depends_on)) {
        expect(services).toHaveProperty(name)
        if (condition === 'service_healthy') expect(services[name]?.healthcheck?.test).toBeDefined()
      }
      for (const volume of service.volumes) {
        expect(volumes).toHaveProperty([volume.split(':')[0] ?? ''])
      }
    }
  })

  test('holds no secret, and publishes to this machine alone', () => {
    const text = read('compose.yaml')
    expect(text).not.toMatch(/postgres:\/\/[^$\s]*:|PASSWORD: |API_KEY: |SECRET: /u)
    const ports = Object.values(services).flatMap((service) => service.ports)
    expect(ports.length).toBeGreaterThan(0)
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/u)
  })

  test('believes the gateway of its own network on who calls, and nobody else', () => {
    const [{ subnet, gateway }] = composition.networks.default.ipam.config
    expect(services['server']?.environment['MINDGLUE_BEHIND_PROXY']).toBe(gateway)
    expect(trustedProxies([subnet])(gateway)).toBe(true)
  })

  test('gives the administrator to the migration alone', () => {
    const holders = Object.entries(services)
      .filter(([, { volumes: mounts }]) => mounts.some((mount) => mount.startsWith('migrate-')))
      .map(([name]) => name)
    expect(holders).toEqual(['secrets', 'migrate'])
  })

  test('makes secrets once, and the program accepts them as they are mounted', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mindglue-compose-'))
    const script = services['secrets']?.entrypoint?.at(-1)?.replace('/app/', '') ?? ''
    const make = () => execFileSync(process.execPath, [join(root, script), folder]).toString()
    expect(make().trim().split('\n')).toHaveLength(6)
    expect(make()).toBe('')
    const places = new Map([
      ['/run/mindglue/', join(folder, 'server/')],
      ['/run/mindglue-admin/', join(folder, 'migrate/')],
    ])
    for (const name of ['migrate', 'server']) {
      const environment = Object.fromEntries(
        Object.entries(services[name]?.environment ?? {}).map(([key, value]) => {
          const place = [...places].find(([prefix]) => value.startsWith(prefix))
          return [key, place === undefined ? value : value.replace(place[0], place[1])]
        }),
      )
      const config = loadConfig(environment)
      expect(config.databaseUrl).toMatch(/^postgres:\/\/mindglue_app:/u)
      expect(config.installationSecret).toBeDefined()
      expect(config.migrationDatabaseUrl !== undefined).toBe(name === 'migrate')
      expect(config.apiKey !== undefined).toBe(name === 'server')
      expect(config.rootKey !== undefined).toBe(name === 'server')
    }
    if (process.platform !== 'win32') {
      expect(statSync(join(folder, 'server/api-key')).mode & 0o777).toBe(0o400)
      expect(statSync(join(folder, 'keystore')).mode & 0o777).toBe(0o700)
    }
  })
})

describe('Dockerfile', () => {
  const text = read('Dockerfile')

  test('copies what exists and what .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const copied = [...text.matchAll(/^COPY (?!--from)(?<sources>.+) \S+$/gmu)]
      .flatMap(({ groups }) => groups?.['sources']?.split(' ') ?? [])
      .map((path) => path.replace(/^\.\//u, ''))
    expect(copied.length).toBeGreaterThan(5)
    for (const path of copied) {
      expect(existsSync(join(root, path)), path).toBe(true)
      expect(allowed).toContain(path)
    }
  })

  test('runs as an unprivileged user, with a health check on the sidecar', () => {
    expect(text).toMatch(/^USER node$/mu)
    const { sidecarPort } = loadConfig({})
    expect(text).toMatch(
      new RegExp(`^HEALTHCHECK[\\s\\S]*127\\.0\\.0\\.1:${sidecarPort}/health/ready`, 'mu'),
    )
    expect(text).toContain(`EXPOSE ${loadConfig({}).httpPort}`)
  })

  test('starts the program that package.json names', () => {
    expect(text).toContain(`ENTRYPOINT ["node", "/app/${manifest.bin['mindglue']}"]`)
  })
})

test('.ci/run is executable, and its shell has no syntax error', () => {
  expect(statSync(join(root, '.ci/run')).mode & 0o111).not.toBe(0)
  expect(spawnSync('bash', ['-n', join(root, '.ci/run')]).status).toBe(0)
})
