/** What a setting is, and how one is described. */
import type { Parse } from './kinds.ts'

/** Headings of the documentation, in reading order. */
export const settingGroups = {
  storage: 'Where memories live',
  identity: 'Who is remembering',
  database: 'PostgreSQL and Redis',
  embedder: 'Finding by meaning',
  keys: 'Keys',
  http: 'HTTP server',
  oauth: 'OAuth',
  accounts: 'Accounts',
  limits: 'Limits and plans',
  sidecar: 'Health and metrics',
  operation: 'Daemon, jobs and logs',
} as const

export type SettingGroup = keyof typeof settingGroups

export interface Setting<T> {
  /** Name of the environment variable. */
  readonly name: string
  readonly group: SettingGroup
  /** What it does, for the person who sets it. */
  readonly description: string
  readonly unit?: string
  /** Never printed, logged or hashed. A secret `X` may also be given as a file's path in `X_FILE`. */
  readonly secret: boolean
  readonly parse: Parse<T>
  readonly fallback: () => T
  /** How the documentation shows a default that depends on the machine. */
  readonly fallbackText?: string
}

type Details = Pick<Setting<unknown>, 'group' | 'description'> &
  Partial<Pick<Setting<unknown>, 'unit' | 'fallbackText'>>

/** A setting with a default. */
export function withDefault<T>(
  name: string,
  parse: Parse<T>,
  fallback: T,
  details: Details,
): Setting<T> {
  return { name, parse, fallback: () => fallback, secret: false, ...details }
}

/** A setting that may be left out. */
export function unset<T>(name: string, parse: Parse<T>, details: Details): Setting<T | undefined> {
  return { name, parse, fallback: () => undefined, secret: false, ...details }
}

/** A secret that may be left out; it can come from a file. */
export function secretSetting(
  name: string,
  parse: Parse<string>,
  details: Details,
): Setting<string | undefined> {
  return { ...unset(name, parse, details), secret: true }
}
