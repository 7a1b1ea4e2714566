/** Certificates from files: checked before they serve, taken anew when the files change, without a restart. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createServer, Server } from 'node:https'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { AppError } from '../errors.ts'

export { createServer as createTlsServer, Server as TlsServer }

export interface TlsOptions {
  /** PEM: the certificate of the server first, then what leads to a known authority. */
  readonly certificateFile: string
  /** PEM, without a passphrase. */
  readonly keyFile: string
  /** How often the files are looked at. */
  readonly checkEveryMs?: number
  /** Told of each certificate that serves from now on, the first one included. */
  readonly onCertificate?: (expiresAt: Date) => void
  /** Told when changed files cannot be used: what served before goes on serving. */
  readonly onRefused?: (error: AppError) => void
}

export interface Certificate {
  readonly options: SecureContextOptions
  /** Gives the server what later comes into the files. Open connections keep what they began with. */
  watch(server: Pick<Server, 'setSecureContext'>): void
  close(): void
}

/** Two looks at a file are cheap, and an authority's client waits for nobody. */
const checkEveryMsDefault = 5000

/** Reads and checks the files. Throws AppError `misconfigured` with what is wrong, never with their content. */
export async function openCertificate(options: TlsOptions): Promise<Certificate> {
  let seen = await stampOf(options)
  const first = await readPair(options)
  let timer: NodeJS.Timeout | undefined
  let isBusy = false
  const look = async (server: Pick<Server, 'setSecureContext'>): Promise<void> => {
    const stamp = await stampOf(options)
    if (stamp === seen) return
    seen = stamp
    const { expiresAt, ...context } = await readPair(options)
    server.setSecureContext(context)
    options.onCertificate?.(expiresAt)
  }
  options.onCertificate?.(first.expiresAt)
  const { expiresAt: _expiresAt, ...context } = first
  return {
    options: context,
    watch(server) {
      timer = setInterval(() => {
        if (isBusy) return
        isBusy = true
        // A pair that is half written is refused and looked at again once the other half has come.
        look(server)
          .catch((error: unknown) => options.onRefused?.(asRefusal(error)))
          .finally(() => {
            isBusy = false
          })
      }, options.checkEveryMs ?? checkEveryMsDefault).unref()
    },
    close: () => clearInterval(timer),
  }
}

/** Changes with either file; a swapped symbolic link is another inode. */
async function stampOf({ certificateFile, keyFile }: TlsOptions): Promise<string> {
  const parts = await Promise.all(
    [certificateFile, keyFile].map(async (path) => {
      try {
        const { ino, size, mtimeMs } = await stat(path)
        return `${ino}:${size}:${mtimeMs}`
      } catch {
        return 'absent'
      }
    }),
  )
  return parts.join(' ')
}

interface Pair {
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.2'
  readonly expiresAt: Date
}

async function readPair({ certificateFile, keyFile }: TlsOptions): Promise<Pair> {
  const [cert, key] = await Promise.all([
    read('MINDGLUE_TLS_CERT', certificateFile),
    read('MINDGLUE_TLS_KEY', keyFile),
  ])
  const certificate = parsed('MINDGLUE_TLS_CERT', 'certificate', () => new X509Certificate(cert))
  const privateKey = parsed('MINDGLUE_TLS_KEY', 'private key', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw misconfigured('The private key in MINDGLUE_TLS_KEY is not that of the certificate.')
  }
  const expiresAt = new Date(certificate.validTo)
  if (expiresAt.getTime() <= Date.now()) {
    throw misconfigured('The certificate in MINDGLUE_TLS_CERT has expired; put a new one there.')
  }
  const pair = { cert, key, minVersion: 'TLSv1.2' as const }
  parsed('MINDGLUE_TLS_CERT', 'certificate', () => createSecureContext(pair))
  return { ...pair, expiresAt }
}

async function read(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw misconfigured(`${setting} names a file that cannot be read; check path and mode.`, error)
  }
}

function parsed<T>(setting: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw misconfigured(`${setting} holds no ${what} in PEM that can be used.`, error)
  }
}

function misconfigured(message: string, cause?: unknown): AppError {
  return new AppError('misconfigured', message, { cause })
}

function asRefusal(error: unknown): AppError {
  if (error instanceof AppError) return error
  return misconfigured('The certificate could not be looked at.', error)
}
