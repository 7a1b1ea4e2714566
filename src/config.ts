/**
 * Environment and command line → one frozen, typed Config. The only reader of `process.env`.
 * Parsers are plain functions: a schema library costs the stdio start 100 ms (measured) here.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { SettingProblem } from './config/kinds.ts'
import { nearest } from './config/nearest.ts'
import {
  hasFileVariant,
  settingGroups,
  settings,
  showValue,
  type Setting,
  type SettingKey,
} from './config/settings.ts'
import { AppError } from './errors.ts'

export type { SettingKey } from './config/settings.ts'

/** Effective settings; every key and its meaning is in `config/settings.ts`. Deeply frozen. */
export type Config = {
  readonly [Key in SettingKey]: (typeof settings)[Key] extends Setting<infer Value> ? Value : never
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Values given on the command line, as text; they win over the environment. */
export type Overrides = Readonly<Partial<Record<SettingKey, string>>>

/** What programs that the operator chose are told of ours: where things are, and no secret. */
export function programEnvironment(): Environment {
  const { PATH, HOME, LANG } = process.env
  return { PATH, HOME, LANG }
}

/** Files of secrets that every user of the machine can read, by the settings that name them. */
const exposedOf = new WeakMap<Config, readonly string[]>()

type Source = 'default' | 'environment' | 'file' | 'command line' | 'unexpanded'

const sourcesOf = new WeakMap<Config, ReadonlyMap<SettingKey, Source>>()
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a const object's keys are its type's
const settingKeys = Object.keys(settings) as SettingKey[]

/**
 * Reads every setting. Throws AppError `misconfigured` that names the setting, what is wrong and
 * what to do, never its value.
 */
export function loadConfig(
  environment: Environment = process.env,
  overrides: Overrides = {},
): Config {
  refuseUnknownNames(environment)
  const sources = new Map<SettingKey, Source>()
  const values: Record<string, unknown> = {}
  const exposed: string[] = []
  for (const key of settingKeys) {
    const setting: Setting<unknown> = settings[key]
    const found = readText(setting, environment, overrides[key])
    sources.set(key, found.source)
    if (found.isExposed === true) exposed.push(`${setting.name}_FILE`)
    values[key] = found.text === undefined ? setting.fallback() : parse(setting, found.text)
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value comes from its key's parser
  const config = Object.freeze(values) as Config
  sourcesOf.set(config, sources)
  exposedOf.set(config, exposed)
  refuseContradictions(config)
  return config
}

function parse(setting: Setting<unknown>, text: string): unknown {
  try {
    return setting.parse(text)
  } catch (error) {
    if (!(error instanceof SettingProblem)) throw error
    throw misconfigured(setting.name, `${setting.name} ${error.message}.`)
  }
}

function misconfigured(name: string, message: string, cause?: unknown): AppError {
  return new AppError('misconfigured', message, { cause, details: { setting: name } })
}

interface Found {
  readonly text: string | undefined
  readonly source: Source
  readonly isExposed?: boolean
}

/** Some clients pass `${NAME}` on as it stands when NAME is not set: that means unset. */
const unexpanded = /^\$\{[^{}]*\}$/u

function given(value: string | undefined): string | undefined {
  const trimmed = value?.trim()
  return trimmed === undefined || trimmed === '' || unexpanded.test(trimmed) ? undefined : trimmed
}

function readText(
  setting: Setting<unknown>,
  environment: Environment,
  override: string | undefined,
): Found {
  if (override !== undefined) return { text: override, source: 'command line' }
  const raw = environment[setting.name]
  const text = given(raw)
  const fileName = `${setting.name}_FILE`
  const file = hasFileVariant(setting) ? given(environment[fileName]) : undefined
  if (text !== undefined && file !== undefined) {
    throw misconfigured(setting.name, `${setting.name} and ${fileName} are both set; keep one.`)
  }
  if (text !== undefined) return { text, source: 'environment' }
  if (file !== undefined) return { ...readSecretFile(fileName, file), source: 'file' }
  const isUnexpanded = raw !== undefined && unexpanded.test(raw.trim())
  return { text: undefined, source: isUnexpanded ? 'unexpanded' : 'default' }
}

/** Where container runtimes mount secrets, readable by all there is in the container. */
const secretMounts = /^(?:\/var)?\/run\/secrets\//u

/**
 * Others may not write it: whoever can chooses the secret. That they read it is refused nowhere, since
 * mounts of containers are often so, and told everywhere else.
 */
function readSecretFile(name: string, path: string): { text: string; isExposed: boolean } {
  let read: { text: string; mode: number }
  try {
    read = readWithMode(path)
  } catch (error) {
    throw misconfigured(
      name,
      `${name} names a file that cannot be read; check path and mode.`,
      error,
    )
  }
  const { mode } = read
  const text = read.text.trim()
  if ((mode & 0o022) !== 0) {
    throw misconfigured(
      name,
      `${name} names a file that other users can write; run chmod go-w on it.`,
    )
  }
  if (text === '')
    throw misconfigured(name, `${name} names an empty file; write the secret into it.`)
  return { text, isExposed: (mode & 0o004) !== 0 && !secretMounts.test(path) }
}

/** The mode is that of the open file: what is checked is what is read. 0 where modes mean nothing. */
function readWithMode(path: string): { text: string; mode: number } {
  const file = openSync(path, 'r')
  try {
    const { mode } = fstatSync(file)
    return { text: readFileSync(file, 'utf8'), mode: process.platform === 'win32' ? 0 : mode }
  } finally {
    closeSync(file)
  }
}

/** Names of settings, such as `DATABASE_URL_FILE`, whose file every user of this machine can read. */
export function exposedSettings(config: Config): readonly string[] {
  return exposedOf.get(config) ?? []
}

/** A mistyped name must not silently mean the default, which could be another, empty store. */
function refuseUnknownNames(environment: Environment): void {
  const known = settingKeys.flatMap((key) => {
    const setting: Setting<unknown> = settings[key]
    return hasFileVariant(setting) ? [setting.name, `${setting.name}_FILE`] : [setting.name]
  })
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('MINDGLUE_') || known.includes(name)) continue
    throw misconfigured(
      name,
      `${name} is not a setting; did you mean ${nearest(name, known)}? \`mindglue config\` lists all.`,
    )
  }
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d+){3}$/u.test(host)
  )
}

function isOwnUrl(url: string | undefined): boolean {
  return url !== undefined && isLoopback(new URL(url).hostname)
}

/** Settings that are right alone and wrong together. */
function refuseContradictions(config: Config): void {
  const asksForCredentials =
    config.apiKey !== undefined || config.oauthIssuer !== undefined || config.accounts !== 'off'
  if (!isLoopback(config.httpHost) && !asksForCredentials) {
    throw misconfigured(
      settings.httpHost.name,
      `${settings.httpHost.name} reaches beyond this machine, so ${settings.apiKey.name} must be set; ` +
        'make one with: openssl rand -base64 32',
    )
  }
  if (config.metricsKey !== undefined && config.metricsKey === config.apiKey) {
    const [metrics, api] = [settings.metricsKey.name, settings.apiKey.name]
    throw misconfigured(metrics, `${metrics} travels in plain HTTP and must differ from ${api}.`)
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    const [cert, key] = [settings.tlsCert.name, settings.tlsKey.name]
    throw misconfigured(cert, `${cert} and ${key} belong together; set both.`)
  }
  const isEncrypted = config.tlsCert !== undefined || config.behindProxy.length > 0
  if (!isLoopback(config.httpHost) && !isEncrypted) {
    throw misconfigured(
      settings.httpHost.name,
      `${settings.httpHost.name} reaches beyond this machine, where only HTTPS is served: set ` +
        `${settings.tlsCert.name} and ${settings.tlsKey.name}, or name the proxy that does it in ` +
        `${settings.behindProxy.name}.`,
    )
  }
  if (config.oauthIssuer !== undefined && config.publicUrl === undefined) {
    throw misconfigured(
      settings.oauthIssuer.name,
      `${settings.oauthIssuer.name} needs ${settings.publicUrl.name}: tokens are issued for it; set it.`,
    )
  }
  if (config.accounts !== 'off' && config.publicUrl === undefined) {
    const names = `${settings.accounts.name} needs ${settings.publicUrl.name}`
    throw misconfigured(settings.accounts.name, `${names}: tokens are issued by it; set it.`)
  }
  if (
    config.accounts !== 'off' &&
    config.mailCommand === undefined &&
    !isOwnUrl(config.publicUrl)
  ) {
    const names = `${settings.accounts.name} needs ${settings.mailCommand.name}`
    throw misconfigured(settings.accounts.name, `${names} beyond this machine; set it.`)
  }
  if (config.migrationDatabaseUrl !== undefined && config.databaseUrl === undefined) {
    throw misconfigured(
      settings.databaseUrl.name,
      `${settings.migrationDatabaseUrl.name} is set without ${settings.databaseUrl.name}; ` +
        'set both, or neither for the embedded database.',
    )
  }
  const fewest = Math.min(...Object.values(config.planRequests))
  if (config.limits !== 'off' && config.redisUrl === undefined && fewest < config.replicas) {
    const name = settings.planRequests.name
    throw misconfigured(
      name,
      `${name} has a plan with fewer requests than ${settings.replicas.name} says processes, and without ` +
        `${settings.redisUrl.name} each of them lets one through: set it, or allow more requests.`,
    )
  }
  if (config.rootKey !== undefined && config.rootKeyCommand !== undefined) {
    throw misconfigured(
      settings.rootKey.name,
      `${settings.rootKey.name} and ${settings.rootKeyCommand.name} are both set; keep one.`,
    )
  }
  for (const key of ['planMemories', 'planMegabytes'] as const) {
    const unknown = Object.keys(config[key]).find(
      (plan) => !Object.hasOwn(config.planRequests, plan),
    )
    if (unknown === undefined) continue
    const name = settings[key].name
    throw misconfigured(name, `${name} names a plan that ${settings.planRequests.name} does not.`)
  }
  if (config.embedder === 'multilingual') {
    const chosen = (['embedderModel', 'embedderDimension'] as const).find((key) => config[key])
    if (chosen !== undefined) {
      const name = settings[chosen].name
      const message = `MINDGLUE_EMBEDDER=multilingual brings its own model: unset ${name}, or choose transformers.`
      throw misconfigured(name, message)
    }
  }
  if (config.embedder === 'openai' || config.embedder === 'transformers') {
    const needed = ['embedderModel', 'embedderDimension'] as const
    const keys = config.embedder === 'openai' ? (['embedderUrl', ...needed] as const) : needed
    const missing = keys.find((key) => config[key] === undefined)
    if (missing !== undefined) {
      const name = settings[missing].name
      throw misconfigured(name, `MINDGLUE_EMBEDDER=${config.embedder} needs ${name}; set it.`)
    }
  }
}

/** The values that must appear nowhere: for the log's second net and for tests that search for them. */
export function secretValues(config: Config): readonly string[] {
  return settingKeys
    .filter((key) => settings[key].secret)
    .map((key) => config[key])
    .filter((value) => typeof value === 'string')
}

export interface SettingReport {
  readonly name: string
  readonly group: string
  /** Effective value as text; secrets are masked, URLs keep their host. */
  readonly value: string
  readonly source: Source
}

/** Effective settings for people, in table order. Holds no secret. */
export function reportSettings(config: Config): readonly SettingReport[] {
  const sources = sourcesOf.get(config)
  return settingKeys.map((key) => {
    const setting: Setting<unknown> = settings[key]
    return {
      name: setting.name,
      group: settingGroups[setting.group],
      value: setting.secret ? mask(config[key]) : showValue(config[key]),
      source: sources?.get(key) ?? 'default',
    }
  })
}

/** Says where a URL points and that a secret exists; shows no user, password, query or key. */
function mask(value: unknown): string {
  if (typeof value !== 'string') return '(unset)'
  if (!URL.canParse(value)) return '(set, hidden)'
  const { protocol, host, pathname } = new URL(value)
  return host === '' ? '(set, hidden)' : `${protocol}//***@${host}${pathname}`
}
