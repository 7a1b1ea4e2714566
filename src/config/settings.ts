/** Every setting of the product in one table; `docs/configuration.md` is printed from it. */
import { homedir, userInfo } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import envPaths from 'env-paths'
import {
  choice,
  commandLine,
  integer,
  list,
  matching,
  network,
  secret,
  text,
  url,
  type Parse,
} from './kinds.ts'
import { accountSettings } from './account-settings.ts'
import { limitSettings } from './limit-settings.ts'
import { oauthSettings } from './oauth-settings.ts'
import { secretSetting, unset, withDefault, type Setting } from './setting.ts'

export { settingGroups, type Setting, type SettingGroup } from './setting.ts'

const directories = envPaths('mindglue', { suffix: '' })

/** Relative paths and `~` are resolved once, so that every process means the same place. */
function path(value: string): string {
  const plain = text(1024)(value)
  if (plain === '~' || plain.startsWith('~/')) return join(homedir(), plain.slice(1))
  return isAbsolute(plain) ? plain : resolve(plain)
}

const agentName = matching(
  /^[^\s](?:.*[^\s])?$/u,
  128,
  'a name of 1 to 128 characters that does not start or end with a space',
)

/** The operating-system user; a container may run under a number that has no name. */
function operatingSystemUser(): string {
  try {
    return agentName(userInfo().username)
  } catch {
    return 'user'
  }
}

/** RFC 6750 §2.1 `b64token`, long enough not to be guessed; its length is checked first. */
const bearerKey: Parse<string> = (value) => {
  const long = secret(24, 'make one with: openssl rand -base64 32')(value)
  return matching(/^[\w.~+/-]+=*$/u, 512, 'letters, digits and ._~+/- only')(long)
}

/** Names as in `example.org`, `127.0.0.1`, `[::1]`, with or without a port. */
const hostName = matching(/^[A-Za-z0-9.[\]:_-]+$/u, 255, 'a host name or an address')

/**
 * Key in the configuration → setting. Times carry their unit in the name. A new setting needs no
 * other change than its entry here and the code that reads it; both are tested.
 */
export const settings = {
  dataDirectory: {
    name: 'MINDGLUE_DATA_DIR',
    group: 'storage',
    description: 'Directory of the embedded database. Unused when `DATABASE_URL` is set.',
    secret: false,
    parse: path,
    fallback: () => directories.data,
    fallbackText: "the platform's folder for user data, such as `~/.local/share/mindglue`",
  } satisfies Setting<string> as Setting<string>,
  namespaceName: withDefault(
    'MINDGLUE_NAMESPACE',
    matching(
      /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/u,
      63,
      'lower-case letters, digits, dots, dashes and underscores, starting and ending with a letter or digit',
    ),
    'default',
    {
      group: 'identity',
      description: 'Namespace of clients that do not name one. Namespaces never see each other.',
    },
  ),
  agent: {
    name: 'MINDGLUE_AGENT',
    group: 'identity',
    description: 'Name of the agent that owns what this client stores.',
    secret: false,
    parse: agentName,
    fallback: operatingSystemUser,
    fallbackText: 'the operating-system user',
  } satisfies Setting<string> as Setting<string>,
  databaseUrl: secretSetting('DATABASE_URL', url(['postgres:', 'postgresql:']), {
    group: 'database',
    description:
      'PostgreSQL 15 or newer with pgvector 0.8.4 or newer, as the unprivileged app login. ' +
      'Unset: the embedded database in `MINDGLUE_DATA_DIR`.',
  }),
  migrationDatabaseUrl: secretSetting('MIGRATION_DATABASE_URL', url(['postgres:', 'postgresql:']), {
    group: 'database',
    description:
      'The same database as an administrator; used to apply migrations and for nothing else.',
  }),
  databasePoolMax: withDefault('MINDGLUE_DATABASE_POOL_MAX', integer(1, 200), 10, {
    group: 'database',
    description: 'Most connections one process opens to PostgreSQL.',
    unit: 'connections',
  }),
  connectTimeoutMs: withDefault('MINDGLUE_CONNECT_TIMEOUT_MS', integer(100, 60_000), 5000, {
    group: 'database',
    description: 'Longest wait for a connection to PostgreSQL.',
    unit: 'milliseconds',
  }),
  statementTimeoutMs: withDefault('MINDGLUE_STATEMENT_TIMEOUT_MS', integer(100, 600_000), 15_000, {
    group: 'database',
    description: 'Longest time one SQL statement may run.',
    unit: 'milliseconds',
  }),
  lockTimeoutMs: withDefault('MINDGLUE_LOCK_TIMEOUT_MS', integer(10, 60_000), 3000, {
    group: 'database',
    description: 'Longest wait for a row or table lock.',
    unit: 'milliseconds',
  }),
  idleTransactionTimeoutMs: withDefault(
    'MINDGLUE_IDLE_TRANSACTION_TIMEOUT_MS',
    integer(100, 600_000),
    10_000,
    {
      group: 'database',
      description: 'Longest time a transaction may stay open without a statement.',
      unit: 'milliseconds',
    },
  ),
  redisUrl: secretSetting('REDIS_URL', url(['redis:', 'rediss:']), {
    group: 'database',
    description:
      'Redis or Valkey, shared by several server processes. Holds nothing that must survive.',
  }),
  embedder: withDefault(
    'MINDGLUE_EMBEDDER',
    choice(['static', 'multilingual', 'openai', 'transformers', 'none']),
    'static',
    {
      group: 'embedder',
      description:
        '`static`: English word vectors shipped with the program, no network. `multilingual`: one ' +
        'local model for every language, through `@huggingface/transformers`. `openai`: any ' +
        'OpenAI-compatible endpoint. `transformers`: another local model. `none`: find by words alone.',
    },
  ),
  embedderUrl: unset('MINDGLUE_EMBEDDER_URL', url(['http:', 'https:']), {
    group: 'embedder',
    description: 'Base URL of the endpoint for `openai`, such as `http://127.0.0.1:11434/v1`.',
  }),
  embedderModel: unset('MINDGLUE_EMBEDDER_MODEL', text(200), {
    group: 'embedder',
    description: 'Model for `openai` and `transformers`. Recorded per namespace; never mixed.',
  }),
  embedderDimension: unset('MINDGLUE_EMBEDDER_DIMENSION', integer(1, 4096), {
    group: 'embedder',
    description: "Length of that model's vectors.",
  }),
  embedderKey: secretSetting('MINDGLUE_EMBEDDER_KEY', text(4096), {
    group: 'embedder',
    description: 'Bearer key for the endpoint of `openai`.',
  }),
  embedderTimeoutMs: withDefault('MINDGLUE_EMBEDDER_TIMEOUT_MS', integer(100, 120_000), 10_000, {
    group: 'embedder',
    description:
      'Longest wait for the embedder; later the memory is stored and embedded afterwards. A server ' +
      'whose endpoint does not answer in it does not start.',
    unit: 'milliseconds',
  }),
  keyDirectory: {
    name: 'MINDGLUE_KEY_DIR',
    group: 'keys',
    description:
      'Directory of the secrets that a local installation makes at its first start; never inside ' +
      'the data directory, so that a copy of the data holds no key.',
    secret: false,
    parse: path,
    fallback: () => directories.config,
    fallbackText: "the platform's folder for settings, such as `~/.config/mindglue`",
  } satisfies Setting<string> as Setting<string>,
  installationSecret: secretSetting(
    'MINDGLUE_SECRET',
    secret(43, 'make one with: openssl rand -base64 32'),
    {
      group: 'keys',
      description:
        'Secret of the installation, 32 bytes in base64: signs contexts, cursors and ' +
        'confirmations. Every process on one database needs the same. Local: made at first start.',
    },
  ),
  rootKey: secretSetting('MINDGLUE_ROOT_KEY', text(4096), {
    group: 'keys',
    description:
      'Root keys that encrypt namespaces: 32 bytes each in base64 or hex, separated by spaces or ' +
      'commas. The first one writes, all of them read. Local: made at first start.',
  }),
  rootKeyCommand: unset('MINDGLUE_ROOT_KEY_COMMAND', commandLine, {
    group: 'keys',
    description:
      "A program with arguments that prints the root keys, such as a key management service's " +
      'unwrap call. Run without a shell, for 10 seconds at most.',
  }),
  keystoreDirectory: {
    name: 'MINDGLUE_KEYSTORE_DIR',
    group: 'keys',
    description:
      'Directory of the epoch secrets that forgetting destroys. Every process on one database needs ' +
      'the same one; back it up with `mindglue keys backup`, never with the database.',
    secret: false,
    parse: path,
    fallback: () => undefined,
    fallbackText: '`keystore` in `MINDGLUE_KEY_DIR`',
  } satisfies Setting<string | undefined> as Setting<string | undefined>,
  profile: unset('MINDGLUE_PROFILE', choice(['off', 'field', 'sealed']), {
    group: 'keys',
    description:
      'Encryption of new namespaces. `field`: texts and names. `sealed`: vectors as well. `off`: ' +
      'nothing. Unset: `field` where there is a root key, else `off`.',
  }),
  apiKeyPepper: secretSetting(
    'MINDGLUE_API_KEY_PEPPER',
    secret(43, 'make one with: openssl rand -base64 32'),
    {
      group: 'keys',
      description:
        'Stores issued API keys as HMAC-SHA256 under this secret instead of SHA-256, so that writing ' +
        'to the database makes no key. The same for every process; keys issued under another are refused.',
    },
  ),
  httpHost: withDefault('MINDGLUE_HTTP_HOST', hostName, '127.0.0.1', {
    group: 'http',
    description:
      'Address `mindglue serve` listens on. Beyond loopback `MINDGLUE_API_KEY` or ' +
      '`MINDGLUE_OAUTH_ISSUER` is needed, and HTTPS: `MINDGLUE_TLS_CERT` and `MINDGLUE_TLS_KEY`, or ' +
      '`MINDGLUE_BEHIND_PROXY`.',
  }),
  httpPort: withDefault('MINDGLUE_HTTP_PORT', integer(0, 65_535), 7337, {
    group: 'http',
    description: 'Port of `mindglue serve`; 0 takes a free one.',
  }),
  tlsCert: unset('MINDGLUE_TLS_CERT', path, {
    group: 'http',
    description:
      'Certificate file (PEM, with its chain) to serve HTTPS with; taken anew when it changes.',
  }),
  tlsKey: unset('MINDGLUE_TLS_KEY', path, {
    group: 'http',
    description: 'Private key file of that certificate (PEM, without a passphrase).',
  }),
  apiKey: secretSetting('MINDGLUE_API_KEY', bearerKey, {
    group: 'http',
    description:
      'First bearer key of HTTP clients, for `MINDGLUE_NAMESPACE` as `MINDGLUE_AGENT`; further ones, ' +
      'each with its own rights, come from `mindglue api-keys issue`. Unset, and no issuer of tokens ' +
      'either: no key is asked for, on loopback only.',
  }),
  allowedHosts: withDefault<readonly string[]>(
    'MINDGLUE_ALLOWED_HOSTS',
    list(hostName, 50),
    Object.freeze([]),
    {
      group: 'http',
      description: 'Names besides loopback that may stand in the `Host` header.',
      fallbackText: 'none',
    },
  ),
  allowedOrigins: withDefault<readonly string[]>(
    'MINDGLUE_ALLOWED_ORIGINS',
    list(url(['http:', 'https:']), 50),
    Object.freeze([]),
    {
      group: 'http',
      description:
        'Browser origins besides loopback that may call the server, and the only ones whose pages may ' +
        'read REST answers (CORS).',
      fallbackText: 'none',
    },
  ),
  bodyBytesMax: withDefault('MINDGLUE_BODY_BYTES_MAX', integer(65_536, 67_108_864), 4_194_304, {
    group: 'http',
    description: 'Largest request body.',
    unit: 'bytes',
  }),
  drainSeconds: withDefault('MINDGLUE_DRAIN_SECONDS', integer(0, 300), 20, {
    group: 'http',
    description: 'On SIGTERM: longest wait for running requests to finish.',
    unit: 'seconds',
  }),
  behindProxy: withDefault<readonly string[]>(
    'MINDGLUE_BEHIND_PROXY',
    list(network, 50),
    Object.freeze([]),
    {
      group: 'http',
      description:
        'Addresses or blocks (CIDR) of proxies in front that do TLS; their `X-Forwarded-For` and ' +
        '`X-Forwarded-Proto` are believed. Beyond loopback plain HTTP is taken from them alone.',
      fallbackText: 'none',
    },
  ),
  ...oauthSettings,
  ...accountSettings,
  ...limitSettings,
  sidecarHost: withDefault('MINDGLUE_SIDECAR_HOST', hostName, '127.0.0.1', {
    group: 'sidecar',
    description:
      'Address of the sidecar. Beyond loopback `/metrics` asks for `MINDGLUE_METRICS_KEY`, which must be ' +
      'set then; health asks for nothing.',
  }),
  sidecarPort: withDefault('MINDGLUE_SIDECAR_PORT', integer(0, 65_535), 7338, {
    group: 'sidecar',
    description: 'Port of the sidecar; 0 takes a free one.',
  }),
  metricsKey: secretSetting('MINDGLUE_METRICS_KEY', bearerKey, {
    group: 'sidecar',
    description:
      'Bearer key that opens `/metrics` beyond loopback, and nothing else: the sidecar speaks plain HTTP. ' +
      'Not `MINDGLUE_API_KEY` again.',
  }),
  metricsNamespaces: withDefault<readonly string[]>(
    'MINDGLUE_METRICS_NAMESPACES',
    list(text(63), 50),
    Object.freeze(['default']),
    {
      group: 'sidecar',
      description: 'Namespaces that metrics name; every other one is counted as `other`.',
      fallbackText: '`default`',
    },
  ),
  daemonIdleSeconds: withDefault('MINDGLUE_DAEMON_IDLE_SECONDS', integer(0, 604_800), 900, {
    group: 'operation',
    description: 'The local daemon exits after this time without a client; 0 keeps it running.',
    unit: 'seconds',
  }),
  purgeIntervalSeconds: withDefault('MINDGLUE_PURGE_INTERVAL_SECONDS', integer(1, 30), 10, {
    group: 'operation',
    description:
      'How often expired memories are erased. They are invisible the moment they expire.',
    unit: 'seconds',
  }),
  purgeWorkers: withDefault('MINDGLUE_PURGE_WORKERS', integer(1, 8), 2, {
    group: 'operation',
    description: 'Batches of expired memories that a process erases at once on PostgreSQL.',
  }),
  connectorTools: withDefault('MINDGLUE_CONNECTOR_TOOLS', choice(['on', 'off']), 'off', {
    group: 'operation',
    description:
      'Whether the tools `search` and `fetch`, as ChatGPT asks of its connectors, are offered to clients ' +
      'whose key names no tools. They read as `recall` does.',
  }),
  briefTokens: withDefault('MINDGLUE_BRIEF_TOKENS', integer(300, 20_000), 1500, {
    group: 'operation',
    description: 'Most tokens of a brief when the request does not say.',
    unit: 'tokens',
  }),
  logLevel: withDefault(
    'MINDGLUE_LOG_LEVEL',
    choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'info',
    {
      group: 'operation',
      description: 'Least severe log line that is written (JSON on stderr).',
    },
  ),
} as const

export type SettingKey = keyof typeof settings

/** Containers hand secrets over as files. */
export function hasFileVariant(setting: Setting<unknown>): boolean {
  return setting.secret
}

/** A value as people read it; never called with a secret. */
export function showValue(value: unknown): string {
  if (value === undefined) return '(unset)'
  if (isFigures(value)) {
    return Object.entries(value)
      .map(([name, figure]) => `${name}=${figure === Infinity ? 'unlimited' : figure}`)
      .join(', ')
  }
  if (Array.isArray(value)) return value.length === 0 ? '(none)' : value.join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function isFigures(value: unknown): value is Readonly<Record<string, number>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
