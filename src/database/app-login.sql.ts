/** The password of the application's login. The server never sees it in a statement or a log. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import type { OwnerDatabase } from './database.ts'

/** The login that `migrations/0001_roles.sql` makes. */
export const appLogin = 'mindglue_app'

/** Postgres' own default for `scram_iterations`. */
const iterationsDefault = 4096

/**
 * Sets the password of `mindglue_app` as an administrator. The verifier is computed here, as psql's
 * `\password` does, so that `log_statement` shows nothing to log in with.
 */
export async function setAppPassword(owner: OwnerDatabase, password: string): Promise<void> {
  await owner.ownerTransaction(async (sql, script) => {
    const verifier = scramVerifier(password, randomBytes(16))
    // ALTER ROLE takes no parameters: the server quotes, and runs what it quoted.
    const [row] = await sql<{ statement: string }>`
      select format('alter role %I login password %L', ${appLogin}::text, ${verifier}::text)
        as statement`
    if (row !== undefined) await script(row.statement)
  })
}

/**
 * What Postgres stores for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677):
 * `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, base64.
 */
export function scramVerifier(
  password: string,
  salt: Uint8Array,
  iterations = iterationsDefault,
): string {
  // SASLprep (RFC 4013) begins with NFKC; for ASCII passwords it changes nothing.
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256')
  const keyFor = (label: string): Buffer => createHmac('sha256', salted).update(label).digest()
  const storedKey = createHash('sha256').update(keyFor('Client Key')).digest('base64')
  const serverKey = keyFor('Server Key').toString('base64')
  const saltText = Buffer.from(salt).toString('base64')
  return `SCRAM-SHA-256$${iterations}:${saltText}$${storedKey}:${serverKey}`
}
