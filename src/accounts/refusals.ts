/** How somebody is refused who may not be who he says. */
import { AppError } from '../errors.ts'

/** One text for all that may be wrong: which it was is not to be learned. */
export function wrong(text = 'The e-mail address, the password or the code is wrong.'): AppError {
  return new AppError('unauthenticated', text)
}

/** Told only to who knows the password. */
export function codeNeeded(): AppError {
  return new AppError('unauthenticated', 'Send the code of your authenticator as `code` as well.', {
    details: { second_factor: 'required' },
  })
}
