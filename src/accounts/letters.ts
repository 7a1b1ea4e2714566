/** What letters to people say. */
import type { MailKind } from './accounts.sql.ts'
import type { Letter } from './mail.ts'

/** With the code that makes an account or a new password. */
export function codeLetter(to: string, kind: MailKind, code: string): Letter {
  const what = kind === 'sign-up' ? 'choose a password for your account' : 'choose a new password'
  return {
    to,
    subject: kind === 'sign-up' ? 'Your MindGlue account' : 'Your MindGlue password',
    text: `To ${what}, use this code within an hour:\n\n${code}\n\nIf you did not ask for it, do nothing.`,
  }
}

const changes = {
  password: 'The password of your account was changed.',
  'factor set': 'A second factor was set up for your account. It is asked for at each log in.',
  'factor removed': 'The second factor of your account was taken away.',
  'factor removed by the operator':
    'The second factor of your account was taken away by who runs this server.',
  'recovery code used': 'A recovery code was used in place of a code of your authenticator.',
  deleted: 'Your account was deleted.',
} as const

/** Tells the owner of the mailbox what somebody did who was taken for him. */
export function changeLetter(to: string, change: keyof typeof changes): Letter {
  const advice =
    'If it was not you, choose a new password at once: ask for a letter where you log in.'
  return {
    to,
    subject: 'Your MindGlue account was changed',
    text: change === 'deleted' ? changes[change] : `${changes[change]}\n\n${advice}`,
  }
}
