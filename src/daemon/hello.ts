/**
 * What the two ends of a daemon socket say before and beside the protocol: one line each way on
 * connect, and control lines later. Parsed by hand: a schema library would double the size of the
 * stdio process (41 → 56 MB, +128 ms measured).
 */

/** Raised when the lines below change; an older daemon is replaced, a newer one says why it cannot serve. */
export const pipeProtocol = 1

/** Setting class → digest. Never secrets, never values. */
export type SettingsDigest = Readonly<Record<string, string>>

interface Opening {
  readonly protocol: number
  readonly version: string
}

export interface AttachHello extends Opening {
  /** `attach`: MCP follows. `operate`: the requests of operate.ts, from a command of this computer's user. */
  readonly request: 'attach' | 'operate'
  readonly agent: string
  readonly namespaceName: string
  readonly settings: SettingsDigest
}

export type Hello =
  | AttachHello
  | (Opening & { readonly request: 'status' })
  | (Opening & { readonly request: 'stop'; readonly replacedBy?: string })

export interface DaemonStatus {
  readonly pid: number
  readonly version: string
  readonly state: 'opening' | 'serving' | 'draining'
  readonly uptimeSeconds: number
  readonly residentBytes: number
  readonly clients: readonly {
    readonly agent: string
    readonly namespaceName: string
    readonly connectedSeconds: number
  }[]
}

export type Answer =
  | { readonly kind: 'attached'; readonly version: string; readonly pid: number }
  /** The daemon is older than the program that greets it: ask it to stop. */
  | { readonly kind: 'older'; readonly version: string; readonly pid: number }
  | { readonly kind: 'draining'; readonly pid: number }
  | { readonly kind: 'settings'; readonly pid: number; readonly differing: readonly string[] }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'status'; readonly status: DaemonStatus }

/** First byte of a control line; JSON text cannot start with it (RFC 8259 §2). */
const controlMark = 0x01

/** Daemon to pipe: finish what is in flight, send nothing new. Answered with `drained`. */
export type Control =
  { readonly control: 'drain'; readonly replacedBy?: string } | { readonly control: 'drained' }

export function isControl(line: Buffer): boolean {
  return line[0] === controlMark
}

export function encodeControl(control: Control): string {
  return `${String.fromCodePoint(controlMark)}${JSON.stringify(control)}`
}

/** Undefined for a control line of a later version: it is skipped. */
export function parseControl(line: Buffer): Control | undefined {
  const fields = parseObject(line.subarray(1))
  if (fields?.get('control') === 'drained') return { control: 'drained' }
  if (fields?.get('control') !== 'drain') return undefined
  const replacedBy = fields.get('replacedBy')
  return typeof replacedBy === 'string' ? { control: 'drain', replacedBy } : { control: 'drain' }
}

export function encodeHello(hello: Hello): string {
  return JSON.stringify({ mindglue: hello })
}

export function encodeAnswer(answer: Answer): string {
  return JSON.stringify({ mindglue: answer })
}

/** Longest accepted name in a hello, in characters; the configuration's own bound is 128. */
const nameLengthMax = 256

/** Undefined when the line is no hello; an unknown request of a later version is none either. */
export function parseHello(line: Buffer): Hello | undefined {
  const fields = parseEnvelope(line)
  const protocol = fields?.get('protocol')
  const version = fields && word(fields, 'version')
  if (fields === undefined || typeof protocol !== 'number' || version === undefined)
    return undefined
  const opening = { protocol, version }
  switch (fields.get('request')) {
    case 'status':
      return { ...opening, request: 'status' }
    case 'stop': {
      const replacedBy = word(fields, 'replacedBy')
      return { ...opening, request: 'stop', ...(replacedBy === undefined ? {} : { replacedBy }) }
    }
    case 'attach':
    case 'operate': {
      const request = fields.get('request') === 'operate' ? 'operate' : 'attach'
      const agent = word(fields, 'agent')
      const namespaceName = word(fields, 'namespaceName')
      if (agent === undefined || namespaceName === undefined) return undefined
      return {
        ...opening,
        request,
        agent,
        namespaceName,
        settings: digests(fields.get('settings')),
      }
    }
    default:
      return undefined
  }
}

/** Undefined when the line is no answer of this protocol. The daemon is our own program: shape is trusted. */
export function parseAnswer(line: Buffer): Answer | undefined {
  const fields = parseEnvelope(line)
  const kinds: readonly unknown[] = [
    'attached',
    'older',
    'draining',
    'settings',
    'refused',
    'status',
  ]
  if (fields === undefined || !kinds.includes(fields.get('kind'))) return undefined
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by encodeAnswer, 0600 socket
  return Object.fromEntries(fields) as unknown as Answer
}

function parseEnvelope(line: Buffer): Map<string, unknown> | undefined {
  const inner = parseObject(line)?.get('mindglue')
  return typeof inner === 'object' && inner !== null ? new Map(Object.entries(inner)) : undefined
}

function parseObject(line: Buffer): Map<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'))
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined
  } catch {
    return undefined
  }
}

function word(fields: Map<string, unknown>, name: string): string | undefined {
  const value = fields.get(name)
  return typeof value === 'string' && value !== '' && value.length <= nameLengthMax
    ? value
    : undefined
}

function digests(value: unknown): SettingsDigest {
  if (typeof value !== 'object' || value === null) return {}
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  return Object.fromEntries(entries.slice(0, 50))
}

/**
 * Setting classes whose digests differ, sorted. A class that only one side knows counts only
 * between equal versions: another version may have other classes.
 */
export function differingSettings(
  ours: SettingsDigest,
  theirs: SettingsDigest,
  isSameVersion: boolean,
): readonly string[] {
  const names = new Set([...Object.keys(ours), ...Object.keys(theirs)])
  return [...names]
    .filter((name) => {
      const isShared = Object.hasOwn(ours, name) && Object.hasOwn(theirs, name)
      return isShared ? ours[name] !== theirs[name] : isSameVersion
    })
    .toSorted()
}

/**
 * Precedence of two versions as in Semantic Versioning 2.0.0 §11: negative when `a` is older.
 * Build metadata does not count; text that is no version counts as 0.0.0.
 */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a)
  const right = parseVersion(b)
  for (const place of [0, 1, 2]) {
    const difference = (left.core[place] ?? 0) - (right.core[place] ?? 0)
    if (difference !== 0) return difference
  }
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length
  for (let place = 0; place < Math.max(left.pre.length, right.pre.length); place++) {
    const difference = comparePart(left.pre[place], right.pre[place])
    if (difference !== 0) return difference
  }
  return 0
}

function parseVersion(text: string): { core: readonly number[]; pre: readonly string[] } {
  const match = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?/u.exec(text)
  if (match === null) return { core: [], pre: [] }
  return { core: match.slice(1, 4).map(Number), pre: match[4]?.split('.') ?? [] }
}

function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1
  const [x, y] = [/^\d+$/u.test(a), /^\d+$/u.test(b)]
  if (x && y) return Number(a) - Number(b)
  if (x !== y) return x ? -1 : 1
  return a === b ? 0 : a < b ? -1 : 1
}
