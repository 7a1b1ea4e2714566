/** How long what an account is given holds. */

/** Of a session and of its token. */
export const sessionSeconds = 86_400
