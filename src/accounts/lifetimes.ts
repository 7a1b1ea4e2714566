/** How long what an account is given holds. */

/** Of a session and of its token. */
export const sessionSeconds = 86_400

/** Of what a client was allowed, from its last use on; its refresh token is renewed at each use. */
export const grantSeconds = 30 * 86_400

/** Of what a client was allowed until it fetches its first tokens. */
export const newGrantSeconds = 600

/** Of a client after its last use: one that comes back after a holiday need not register again. */
export const usedClientSeconds = 365 * 86_400

/** Of a client's access token. Taking it back does not wait for its end. */
export const accessTokenSeconds = 3600
