/** The pages on which a person logs in, or chooses a password. */
import { field, hidden, noticeLine, page, problemLine } from './page.ts'
import { markup, type Html } from './html.ts'

export interface LoginPage {
  /** What for, as a sentence or two. */
  readonly reason: string
  readonly token: string
  readonly email: string
  readonly problem?: string | undefined
  readonly notice?: string | undefined
}

const emailField = (email: string): Html =>
  field(
    'E-mail address',
    markup`name="email" type="email" autocomplete="username" required maxlength="254" value="${email}"`,
  )

export function loginPage({ reason, token, email, problem, notice }: LoginPage): string {
  return page(
    'Log in',
    markup`<h1>Log in</h1>
      <p>${reason}</p>
      ${problemLine(problem)} ${noticeLine(notice)}
      <form method="post">
        ${hidden(token)} ${emailField(email)}
        ${field(
          'Password',
          markup`name="password" type="password" autocomplete="current-password" required maxlength="1024"`,
        )}
        ${field(
          'Code',
          markup`name="code" autocomplete="one-time-code" minlength="6" maxlength="20"`,
          'Of your authenticator, if you set one up, or a recovery code',
        )}
        <div class="actions">
          <button class="main" name="do" value="log-in">Log in</button>
        </div>
        <p></p>
        <button class="link" name="do" value="letter" formnovalidate>
          Make an account, or a new password
        </button>
      </form>`,
  )
}

/** Whoever has the mailbox gets a code, and chooses a password with it. */
export function passwordPage({ token, email, problem }: Omit<LoginPage, 'reason'>): string {
  return page(
    'Choose a password',
    markup`<h1>Choose a password</h1>
      ${problemLine(problem)}
      <p>
        If ${email} can get a letter from here, one with a code is on its way. It works for an hour.
      </p>
      <form method="post">
        ${hidden(token)} <input type="hidden" name="email" value="${email}" />
        ${field('Code from the letter', markup`name="code" autocomplete="off" required maxlength="100"`)}
        ${field(
          'New password',
          markup`name="password" type="password" autocomplete="new-password" required minlength="10" maxlength="1024"`,
          'At least ten characters',
        )}
        <div class="actions">
          <button class="main" name="do" value="password">Set the password</button>
        </div>
        <p></p>
        <button class="link" name="do" value="back" formnovalidate>Back</button>
      </form>`,
  )
}
