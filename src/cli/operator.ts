/** How commands reach the memories: the running daemon where one owns them, this process on PostgreSQL. */
import type { Socket } from 'node:net'
import type { Config } from '../config.ts'
import { attach } from '../daemon/connect.ts'
import { createLineSplitter, frame, lineBytesMax } from '../daemon/framing.ts'
import { encodeControl, isControl, parseControl, pipeProtocol } from '../daemon/hello.ts'
import type {
  OperatorCommand,
  OperatorCommands,
  OperatorReply,
  OperatorRequest,
} from '../daemon/operate.ts'
import { daemonPaths } from '../daemon/paths.ts'
import { AppError } from '../errors.ts'
import { settingsDigest } from './settings-digest.ts'

export interface OperatorOptions {
  readonly config: Config
  /** Version of this program. */
  readonly version: string
  /** Path of the script to run again as the daemon. */
  readonly entry: string
}

export type OnProgress = (done: number, total?: number) => void

/** Runs commands in the configured namespace, as the configured agent, with every scope. */
export interface Operator {
  /** Throws AppError: what the command throws, or `unavailable` when the daemon went meanwhile. */
  run<Name extends OperatorCommand>(
    name: Name,
    input: OperatorCommands[Name]['input'],
    onProgress?: OnProgress,
  ): Promise<OperatorCommands[Name]['output']>
  close(): Promise<void>
}

type Ask = (name: string, input: unknown, onProgress?: OnProgress) => Promise<unknown>

/**
 * Opens the way to the memories: on the embedded engine the daemon, started when none runs, else an
 * application in this process. Throws AppError as `attach` and `createApp` do.
 */
export async function openOperator(options: OperatorOptions): Promise<Operator> {
  const way =
    options.config.databaseUrl === undefined
      ? await throughDaemon(options)
      : await inThisProcess(options.config)
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own daemon of our own protocol answers by the schema
    run: async (name, input, onProgress) => (await way.ask(name, input, onProgress)) as never,
    close: async () => await way.close(),
  }
}

/** Opens it for one piece of work and closes it, whatever happens. */
export async function withOperator<T>(
  options: OperatorOptions,
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const operator = await openOperator(options)
  try {
    return await work(operator)
  } finally {
    await operator.close()
  }
}

interface Way {
  readonly ask: Ask
  close(): Promise<void>
}

async function inThisProcess(config: Config): Promise<Way> {
  const [{ createApp }, { operate }] = await Promise.all([
    import('../app.ts'),
    import('../daemon/operate.ts'),
  ])
  const { namespaceName, agent } = config
  // One log line a page would bury what the command says; a more talkative level was asked for.
  const logLevel = config.logLevel === 'info' ? 'warn' : config.logLevel
  const app = await createApp({ ...config, logLevel })
  return {
    ask: async (operation, input, onProgress) =>
      await operate(app, { namespaceName, agent }, { operation, input }, { onProgress }),
    close: async () => await app.close(),
  }
}

/** A daemon that recovers after kill -9 on a busy machine was seen to take 21 s to open. */
const attachTimeoutMs = 60_000
/** A request is handed to three daemons at most: one that kills each of them must end. */
const sendsMax = 3

async function throughDaemon(options: OperatorOptions): Promise<Way> {
  let link: Link | undefined = await openLink(options)
  const current = async (): Promise<Link> => {
    if (link?.isOpen() !== true) link = await openLink(options)
    return link
  }
  return {
    ask: async (name, input, onProgress) => {
      for (let sends = 1; ; sends++) {
        try {
          return await (await current()).ask(name, input, onProgress)
        } catch (error) {
          if (!(error instanceof LinkLost)) throw error
          if (isRepeatable(name, input) && sends < sendsMax) continue
          throw new AppError(
            'unavailable',
            'The MindGlue daemon stopped while it worked on this, which may or may not have been done.',
            { cause: error },
          )
        }
      }
    },
    close: async () => {
      await link?.close()
    },
  }
}

const repeatable: ReadonlySet<string> = new Set<OperatorCommand>([
  'recall',
  'export',
  'import',
  'auditQuery',
  'keyList',
  'keyRevoke',
  'grantList',
  'grantRevoke',
  'plan',
  'reindex',
  'scan',
  'size',
  'keys.status',
  'namespaces.list',
  'namespaces.show',
  'namespaces.set',
  'namespaceRead',
  'namespaceSet',
  'instructionsRead',
  'instructionsSet',
  'keys.rewrap',
  'keys.encrypt',
])

/** Whether asking a second time, when the answer was lost, leaves the memories as once. */
function isRepeatable(name: string, input: unknown): boolean {
  const hasKey = typeof input === 'object' && input !== null && 'idempotency_key' in input
  return repeatable.has(name) || (name === 'store' && hasKey)
}

class LinkLost extends Error {
  override readonly name = 'LinkLost'
}

interface Pending {
  readonly resolve: (output: unknown) => void
  readonly reject: (error: Error) => void
  readonly onProgress: OnProgress | undefined
}

/** One connection to one daemon. */
interface Link {
  /** False once the daemon is gone or takes no new requests. */
  isOpen(): boolean
  readonly ask: Ask
  close(): Promise<void>
}

async function openLink({ config, version, entry }: OperatorOptions): Promise<Link> {
  const paths = daemonPaths(config.dataDirectory)
  const { socket } = await attach({
    paths,
    hello: {
      request: 'operate',
      protocol: pipeProtocol,
      version,
      agent: config.agent,
      namespaceName: config.namespaceName,
      settings: settingsDigest(config),
    },
    program: {
      file: process.execPath,
      args: [...process.execArgv, entry, 'daemon', '--data-dir', paths.directory, '--report'],
    },
    timeoutMs: attachTimeoutMs,
    onNotice: (notice) => void process.stderr.write(`mindglue: ${notice}\n`),
  })
  return linkOver(socket)
}

function linkOver(socket: Socket): Link {
  const pending = new Map<number, Pending>()
  let lastId = 0
  let state: 'open' | 'draining' | 'lost' = socket.destroyed ? 'lost' : 'open'

  /** A draining daemon waits until it has answered everything we asked. */
  const confirmDrained = (): void => {
    if (state !== 'draining' || pending.size > 0) return
    socket.write(frame(encodeControl({ control: 'drained' })))
  }
  const read = (line: Buffer): void => {
    if (isControl(line)) {
      if (parseControl(line)?.control === 'drain') state = 'draining'
    } else {
      settle(pending, parseReply(line))
    }
    confirmDrained()
  }
  const splitter = createLineSplitter(() => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) read(line)
  })
  socket.on('close', () => {
    state = 'lost'
    for (const { reject } of pending.values()) reject(new LinkLost())
    pending.clear()
  })
  socket.resume()

  return {
    isOpen: () => state === 'open',
    ask: async (operation, input, onProgress) => {
      const request: OperatorRequest = { id: ++lastId, operation, input }
      const line = frame(JSON.stringify(request))
      if (line.length > lineBytesMax) {
        throw new AppError('payload_too_large', 'The request is larger than 16 MiB; ask for less.')
      }
      return await new Promise((resolve, reject) => {
        if (state === 'lost') return reject(new LinkLost())
        pending.set(request.id, { resolve, reject, onProgress })
        socket.write(line)
      })
    },
    close: async () => {
      if (socket.destroyed) return
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve())
        socket.end()
      })
    },
  }
}

/** The daemon is our own program behind a 0600 socket: the shape of its lines is trusted. */
function parseReply(line: Buffer): OperatorReply {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return JSON.parse(line.toString('utf8')) as OperatorReply
}

function settle(pending: Map<number, Pending>, reply: OperatorReply): void {
  const asked = pending.get(reply.id)
  if (asked === undefined) return
  if ('progress' in reply) return asked.onProgress?.(reply.progress.done, reply.progress.total)
  pending.delete(reply.id)
  if ('output' in reply) return asked.resolve(reply.output)
  const { code, message, ...options } = reply.error
  return asked.reject(new AppError(code, message, options))
}
