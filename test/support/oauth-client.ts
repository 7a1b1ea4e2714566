/** The official client's OAuth, with a person behind it whose browser only follows redirects. */
import {
  StreamableHTTPClientTransport,
  UnauthorizedError,
  type OAuthClientProvider,
} from '@modelcontextprotocol/client'
import { modernClient, type ModernClient } from './clients.ts'

export interface OAuthClient {
  readonly provider: OAuthClientProvider & {
    accessToken(): string | undefined
    /** As if it had run out: the server refuses what is sent from now on. */
    spoilAccessToken(): void
  }
  /** Scopes that each authorization asked for, in order. */
  readonly askedScopes: readonly string[]
  /** Runs `work`, and again after the person agreed, as often as the server asks for more. */
  withConsent<T>(work: (client: ModernClient) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const agreementsMax = 3

/** What a person does on the page of a client; the address that it is called back at. */
export type Person = (page: URL) => Promise<URL>

/** `person`: left out, the page asks for nothing and the browser only follows redirects. */
export async function oauthClient(
  url: URL,
  redirectUrl: string,
  person: Person = followRedirects(redirectUrl),
): Promise<OAuthClient> {
  const asked: URL[] = []
  const provider = memoryProvider(redirectUrl, asked)
  let transport = new StreamableHTTPClientTransport(url, { authProvider: provider })
  let client = modernClient()
  const agree = async (): Promise<void> => {
    const page = asked.at(-1)
    if (page === undefined) throw new Error('nobody was asked')
    const back = await person(page)
    await transport.finishAuth(back.searchParams)
  }
  const connect = async (): Promise<void> => {
    try {
      await client.connect(transport)
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error
      await agree()
      transport = new StreamableHTTPClientTransport(url, { authProvider: provider })
      client = modernClient()
      await client.connect(transport)
    }
  }
  await connect()
  return {
    provider,
    get askedScopes() {
      return asked.map((page) => page.searchParams.get('scope') ?? '')
    },
    async withConsent(work) {
      for (let agreement = 0; ; agreement++) {
        try {
          return await work(client)
        } catch (error) {
          if (!(error instanceof UnauthorizedError) || agreement === agreementsMax) throw error
          await agree()
        }
      }
    },
    close: () => client.close(),
  }
}

function memoryProvider(redirectUrl: string, asked: URL[]): OAuthClient['provider'] {
  const held: {
    client?: Awaited<ReturnType<OAuthClientProvider['clientInformation']>>
    tokens?: Awaited<ReturnType<OAuthClientProvider['tokens']>>
    verifier?: string
    discovery?: Parameters<NonNullable<OAuthClientProvider['saveDiscoveryState']>>[0]
  } = {}
  return {
    redirectUrl,
    clientMetadata: {
      client_name: 'test client',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      // RFC 8252: a program on the person's own machine.
      application_type: 'native',
    },
    clientInformation: () => held.client,
    saveClientInformation: (client) => void (held.client = client),
    tokens: () => held.tokens,
    saveTokens: (tokens) => void (held.tokens = tokens),
    redirectToAuthorization: (page) => void asked.push(page),
    saveCodeVerifier: (verifier) => void (held.verifier = verifier),
    codeVerifier: () => held.verifier ?? '',
    saveDiscoveryState: (discovery) => void (held.discovery = discovery),
    discoveryState: () => held.discovery,
    invalidateCredentials: (what) => {
      if (what === 'tokens' || what === 'all') delete held.tokens
      if (what === 'client' || what === 'all') delete held.client
    },
    accessToken: () => held.tokens?.access_token,
    spoilAccessToken: () => {
      if (held.tokens) held.tokens = { ...held.tokens, access_token: 'eyJ.eyJ.spoiled' }
    },
  }
}

const redirectsMax = 12

function followRedirects(redirectUrl: string): Person {
  const cookies = new Map<string, string>()
  return (page) => follow(page, redirectUrl, cookies)
}

/** From page to page, with cookies, until the browser would leave for the client. */
async function follow(from: URL, redirectUrl: string, cookies: Map<string, string>): Promise<URL> {
  let page = from
  for (let count = 0; count < redirectsMax; count++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(page, { redirect: 'manual', headers: { cookie } })
    await answer.arrayBuffer()
    for (const line of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';')[0]?.split('=') ?? []
      cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location === null) throw new Error(`${page.pathname} answered ${answer.status}`)
    page = new URL(location, page)
    if (page.href.startsWith(redirectUrl)) return page
  }
  throw new Error('too many redirects')
}
