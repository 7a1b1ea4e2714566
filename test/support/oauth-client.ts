/** The OAuth of either official client, with a person behind it whose browser only follows redirects. */
import {
  StreamableHTTPClientTransport,
  UnauthorizedError,
  type OAuthClientProvider,
} from '@modelcontextprotocol/client'
import { UnauthorizedError as LegacyUnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { callerOf, legacyClient, modernClient, type Caller, type Connection } from './clients.ts'

export interface OAuthClient {
  readonly provider: OAuthClientProvider & {
    accessToken(): string | undefined
    /** As if it had run out: the server refuses what is sent from now on. */
    spoilAccessToken(): void
    /** As a program that keeps none. */
    dropRefreshToken(): void
  }
  /** Scopes that each authorization asked for, in order. */
  readonly askedScopes: readonly string[]
  /** Runs `work`, and again after the person agreed, as often as the server asks for more. */
  withConsent<T>(work: (caller: Caller) => Promise<T>): Promise<T>
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
  era: Connection['era'] = 'modern',
): Promise<OAuthClient> {
  const asked: URL[] = []
  const provider = memoryProvider(redirectUrl, asked)
  const open = era === 'modern' ? openModern : openLegacy
  let link = open(url, provider)
  const agree = async (): Promise<void> => {
    const page = asked.at(-1)
    if (page === undefined) throw new Error('nobody was asked')
    await link.finishAuth((await person(page)).searchParams)
  }
  try {
    await link.connect()
  } catch (error) {
    if (!isUnauthorized(error)) throw error
    await agree()
    link = open(url, provider)
    await link.connect()
  }
  return {
    provider,
    get askedScopes() {
      return asked.map((page) => page.searchParams.get('scope') ?? '')
    },
    async withConsent(work) {
      for (let agreement = 0; ; agreement++) {
        try {
          return await work(link.caller)
        } catch (error) {
          if (!isUnauthorized(error) || agreement === agreementsMax) throw error
          await agree()
        }
      }
    },
    close: () => link.caller.close(),
  }
}

/** A client that is not connected yet. */
interface Link {
  readonly caller: Caller
  connect(): Promise<void>
  finishAuth(callback: URLSearchParams): Promise<void>
}

function openModern(url: URL, provider: OAuthClient['provider']): Link {
  const client = modernClient()
  const transport = new StreamableHTTPClientTransport(url, { authProvider: provider })
  return {
    caller: callerOf('modern', client),
    connect: () => client.connect(transport),
    finishAuth: (callback) => transport.finishAuth(callback),
  }
}

function openLegacy(url: URL, provider: OAuthClient['provider']): Link {
  const client = legacyClient()
  const transport = new LegacyHttpTransport(url, {
    authProvider: provider,
    // A stream that ended with its token would ask the person behind the test's back.
    reconnectionOptions: {
      maxRetries: 0,
      initialReconnectionDelay: 1000,
      maxReconnectionDelay: 1000,
      reconnectionDelayGrowFactor: 1,
    },
  })
  return {
    caller: callerOf('legacy', client),
    connect: () => client.connect(transport),
    // It checks no `iss` (RFC 9207), so nobody can give it one.
    finishAuth: (callback) => transport.finishAuth(callback.get('code') ?? ''),
  }
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof UnauthorizedError || error instanceof LegacyUnauthorizedError
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
    dropRefreshToken: () => {
      if (held.tokens) held.tokens = { ...held.tokens, refresh_token: undefined }
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
