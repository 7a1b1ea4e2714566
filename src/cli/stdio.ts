/**
 * `mindglue` as a client launches it: a pipe to the daemon, or the server itself on DATABASE_URL.
 * Imports stay few here: without validation, database and logging a second window costs one bare Node.
 */
import { settingsDigest } from './settings-digest.ts'
import { exposedSettings, type Config } from '../config.ts'
import { attach, type DaemonProgram } from '../daemon/connect.ts'
import { pipeProtocol } from '../daemon/hello.ts'
import { daemonPaths } from '../daemon/paths.ts'
import { runPipe } from '../daemon/pipe.ts'

export interface StdioOptions {
  readonly config: Config
  /** Version of this program. */
  readonly version: string
  /** Path of the script to run again as the daemon. */
  readonly entry: string
  /** Command line of the daemon after the script; it must open the same data directory. */
  readonly daemonArguments?: readonly string[]
}

/** A daemon that recovers after kill -9 on a busy machine was seen to take 21 s to open. */
const attachTimeoutMs = 60_000

/**
 * Serves MCP on this process's stdin and stdout until the client closes its end or SIGTERM comes.
 * Resolves with the exit code. Throws AppError where a daemon cannot be thought of: no directory.
 */
export async function runStdio(options: StdioOptions): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => stop.abort())
  }
  return options.config.databaseUrl === undefined
    ? await pipeToDaemon(options, stop.signal)
    : await serveHere(options.config, stop.signal)
}

async function pipeToDaemon(options: StdioOptions, stop: AbortSignal): Promise<number> {
  const { config, version } = options
  const paths = daemonPaths(config.dataDirectory)
  const program: DaemonProgram = {
    file: process.execPath,
    args: [
      ...process.execArgv,
      options.entry,
      ...(options.daemonArguments ?? ['daemon', '--data-dir', paths.directory]),
      '--report',
    ],
  }
  const hello = {
    request: 'attach',
    protocol: pipeProtocol,
    version,
    agent: config.agent,
    namespaceName: config.namespaceName,
    settings: settingsDigest(config),
  } as const
  const warn = (message: string): void => void process.stderr.write(`mindglue: ${message}\n`)
  for (const setting of exposedSettings(config)) {
    warn(`Other users can read the file that ${setting} names; run chmod 600 on it.`)
  }
  return await runPipe(
    {
      input: process.stdin,
      output: process.stdout,
      attach: async (startNotBefore) =>
        await attach({
          paths,
          hello,
          program,
          timeoutMs: attachTimeoutMs,
          onNotice: warn,
          ...(startNotBefore === undefined ? {} : { startNotBefore }),
        }),
      warn,
    },
    stop,
  )
}

/** Every such process is equal and stateless: the shared state is PostgreSQL's. */
async function serveHere(config: Config, stop: AbortSignal): Promise<number> {
  const [{ createApp }, { serveMcpStream }] = await Promise.all([
    import('../app.ts'),
    import('../mcp/stdio.ts'),
  ])
  const app = await createApp(config, { requiresEmbedder: true })
  try {
    const session = await serveMcpStream(
      app,
      { input: process.stdin, output: process.stdout },
      { namespaceName: config.namespaceName, agent: config.agent },
    )
    process.stdout.on('error', () => void session.close()) // EPIPE: the client is gone
    stop.addEventListener('abort', () => void session.close(), { once: true })
    await session.closed
  } finally {
    await app.close()
  }
  return 0
}
