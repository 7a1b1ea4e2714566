/** Settings of accounts and their letters; part of the table in settings.ts. */
import { choice, commandLine, integer, matching } from './kinds.ts'
import { unset, withDefault } from './setting.ts'

export const accountSettings = {
  accounts: withDefault('MINDGLUE_ACCOUNTS', choice(['off', 'invited', 'open']), 'off', {
    group: 'accounts',
    description:
      'Accounts of people at `MINDGLUE_PUBLIC_URL`, with e-mail address and password. `invited`: who was ' +
      'invited to a namespace may make one. `open`: whoever has a mailbox.',
  }),
  clientDocuments: withDefault(
    'MINDGLUE_CLIENT_DOCUMENTS',
    choice(['public', 'loopback', 'off']),
    'public',
    {
      group: 'accounts',
      description:
        'Where a program that people let in may keep the document that describes it, which is then read ' +
        'from there. `public`: at an https address of the internet. `loopback`: on this machine, too, to ' +
        'develop one. `off`: nowhere; programs register themselves.',
    },
  ),
  mailCommand: unset('MINDGLUE_MAIL_COMMAND', commandLine, {
    group: 'accounts',
    description:
      'A program with arguments that takes a letter on its standard input, such as `sendmail -t` or ' +
      '`msmtp -t`. Run without a shell, for 30 seconds at most, with `PATH`, `HOME` and `LANG` of the ' +
      'environment and nothing else of it. Unset: letters are printed on ' +
      'standard error, where `MINDGLUE_PUBLIC_URL` is this machine alone.',
  }),
  mailFrom: unset('MINDGLUE_MAIL_FROM', matching(/^[\w.+-]+@[\w.-]+$/u, 254, 'an e-mail address'), {
    group: 'accounts',
    description: 'Sender of letters.',
    fallbackText: '`mindglue` at the host of `MINDGLUE_PUBLIC_URL`',
  }),
  signingKeyGeneration: withDefault('MINDGLUE_SIGNING_KEY_GENERATION', integer(0, 1_000_000), 0, {
    group: 'accounts',
    description:
      'A higher number replaces the keys that sign access tokens, at once: tokens of before open nothing, ' +
      'people log in again, clients refresh theirs. The same in every process.',
  }),
} as const
