/** Letters to people: through the operator's own program, or onto the terminal of who develops. */
import { spawn } from 'node:child_process'
import { programEnvironment } from '../config.ts'
import { AppError } from '../errors.ts'

export interface Letter {
  /** One address, checked before: it stands in a header. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mail {
  /** Resolves when it was handed over. Throws AppError `unavailable`; neither address nor text is in it. */
  send(letter: Letter): Promise<void>
}

const commandMs = 30_000

/** Hands each letter to a program on its standard input, as `sendmail -t` takes it (RFC 5322). No shell. */
export function commandMail(command: readonly string[], from: string): Mail {
  const [program = '', ...args] = command
  return { send: (letter) => run(program, args, format(letter, from)) }
}

function run(program: string, args: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      shell: false,
      env: programEnvironment(),
      stdio: ['pipe', 'ignore', 'inherit'],
      timeout: commandMs,
      killSignal: 'SIGKILL',
    })
    child.on('error', (cause) => reject(undelivered(cause)))
    child.on('close', (code) => (code === 0 ? resolve() : reject(undelivered())))
    // A program that reads nothing closes its end first; its exit code says the rest.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

function undelivered(cause?: unknown): AppError {
  return new AppError('unavailable', 'The letter could not be sent; try again later.', { cause })
}

/** Writes letters with `write`, in place of sending them: for one's own machine alone. */
export function terminalMail(write: (text: string) => void): Mail {
  return {
    send: ({ to, subject, text }) => {
      write(`\n--- to ${to}: ${subject}\n${text}\n---\n`)
      return Promise.resolve()
    },
  }
}

/** Lines of at most 998 characters, in ASCII: what every program takes as it is. */
function format({ to, subject, text }: Letter, from: string): string {
  const headers = [
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${subject}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    // RFC 3834: no out-of-office answers to a machine.
    'Auto-Submitted: auto-generated',
  ]
  if (headers.some((line) => /[\r\n]/u.test(line))) throw undelivered()
  return `${headers.join('\n')}\n\n${text}\n`
}
