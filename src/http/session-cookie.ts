/** The cookie that holds the token of a person's session. */
import { sessionSeconds } from '../accounts/lifetimes.ts'

export interface SessionCookie {
  read(request: Request): string | undefined
  write(token: string): string
  readonly clear: string
}

/** `__Host-`: from this host over TLS alone, for no other path or subdomain (RFC 6265bis §4.1.3.2). */
export function sessionCookie(origin: string): SessionCookie {
  const isSecure = origin.startsWith('https:')
  const name = isSecure ? '__Host-mindglue' : 'mindglue'
  const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  return {
    read(request) {
      const pairs = (request.headers.get('cookie') ?? '').split('; ')
      return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
    },
    write: (token) => `${name}=${token}; ${attributes}; Max-Age=${sessionSeconds}`,
    clear: `${name}=; ${attributes}; Max-Age=0`,
  }
}
