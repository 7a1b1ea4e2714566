/** REST calls to a running test server, with every header as it is given. */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { z } from 'zod'
import type { TestApp } from './app.ts'

export interface RestReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body, or undefined when it is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>
}

export interface RestRequest {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Sent as JSON, a string as it is. */
  readonly body?: unknown
  /** Authority to trust, for HTTPS. */
  readonly ca?: string
}

const json = z.record(z.string(), z.unknown())

/** One request on a connection of its own: fetch would not send Host and Origin. */
export function sendRest(
  origin: string,
  { method = 'GET', path, headers = {}, body, ca }: RestRequest,
): Promise<RestReply> {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  const given = {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  }
  const fields = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  )
  return new Promise((resolve, reject) => {
    const send = origin.startsWith('https:') ? httpsRequest : httpRequest
    const options = { method, agent: false as const, headers: fields, ...(ca && { ca }) }
    const sent = send(`${origin}${path}`, options, (response) => {
      let received = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => (received += part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: received,
          body: parsed(received),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(text)
  })
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    return json.parse(JSON.parse(text))
  } catch {
    return {}
  }
}

/** A client that holds one key; the server's configured one when left out. */
export function restClient(
  { listener, apiKey }: Pick<TestApp, 'listener' | 'apiKey'>,
  key = apiKey,
) {
  return (method: string, path: string, body?: unknown, headers: RestRequest['headers'] = {}) =>
    sendRest(listener.origin, {
      method,
      path,
      headers: { authorization: `Bearer ${key}`, ...headers },
      ...(body !== undefined && { body }),
    })
}
