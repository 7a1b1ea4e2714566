/** The keys of a real issuer: found where the specifications put them, asked for seldom, missed with grace. */
import type { webcrypto } from 'node:crypto'
import { errors, exportJWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { createIssuerKeys } from '../../src/auth/issuer.ts'
import { serveLoopback } from '../support/loopback.ts'
import { startOAuthServer, type OAuthServer } from '../support/oauth-server.ts'

function isCryptoKey(key: object): key is webcrypto.CryptoKey {
  return 'extractable' in key
}

describe('the keys of an issuer', () => {
  const issuerOf = async (work: (server: OAuthServer) => Promise<void>, port?: number) => {
    const server = await startOAuthServer({ resource: 'https://a.example/mcp', port: port ?? 0 })
    try {
      await work(server)
    } finally {
      await server.close()
    }
  }
  const header = (kid: string) => ({ alg: 'ES256', kid })
  const token = { payload: '', signature: '' }

  test('made-up key ids cost the issuer one look in half a minute', async () => {
    await issuerOf(async ({ issuer, keyId, asked }) => {
      let nowMs = 0
      const keys = createIssuerKeys(issuer, () => nowMs)
      await keys.keyOf(header(keyId), token)
      const first = asked.length
      const guess = async (kid: string) => {
        await expect(keys.keyOf(header(kid), token)).rejects.toThrow(errors.JWKSNoMatchingKey)
      }
      for (let sent = 0; sent < 50; sent++) await guess(`guess-${sent}`)
      expect(asked).toHaveLength(first)
      nowMs = 31_000
      await Promise.all(Array.from({ length: 50 }, (_, sent) => guess(`later-${sent}`)))
      expect(asked).toHaveLength(2 * first)
    })
  })

  test('a new key is found, and one that was taken back is forgotten', async () => {
    let nowMs = 0
    let port = 0
    let keys = createIssuerKeys('http://127.0.0.1:1', () => nowMs)
    await issuerOf(async ({ issuer, keyId }) => {
      port = Number(new URL(issuer).port)
      keys = createIssuerKeys(issuer, () => nowMs)
      await keys.keyOf(header(keyId), token)
    })
    await issuerOf(async ({ publicKey }) => {
      nowMs = 600_001
      const found = await keys.keyOf(header('test-key'), token)
      if (!isCryptoKey(found)) throw new Error('no key')
      expect(await exportJWK(found)).toMatchObject({ x: publicKey['x'], y: publicKey['y'] })
    }, port)
  })

  test('an issuer that is away: known keys hold for an hour, then nobody is served or called wrong', async () => {
    let nowMs = 0
    let keys = createIssuerKeys('http://127.0.0.1:1', () => nowMs)
    const unavailable = { code: 'unavailable', retryAfterSeconds: 5 }
    await expect(keys.keyOf(header('test-key'), token)).rejects.toMatchObject(unavailable)
    await issuerOf(async ({ issuer, keyId }) => {
      keys = createIssuerKeys(issuer, () => nowMs)
      await keys.keyOf(header(keyId), token)
    })
    nowMs = 3_599_000
    await keys.keyOf(header('test-key'), token)
    nowMs = 3_601_000
    await expect(keys.keyOf(header('test-key'), token)).rejects.toMatchObject(unavailable)
  })

  test('metadata of another issuer is refused, with what to do', async () => {
    await issuerOf(async ({ issuer }) => {
      const other = createIssuerKeys(`${issuer}/`)
      await expect(other.refresh()).rejects.toMatchObject({ code: 'misconfigured' })
    })
  })

  test('metadata is found where RFC 8414 and OpenID Connect put it for an issuer with a path', async () => {
    await issuerOf(async ({ keyId, publicKey }) => {
      for (const place of [
        '/.well-known/oauth-authorization-server/tenant/one',
        '/tenant/one/.well-known/openid-configuration',
      ]) {
        const { url } = await serveLoopback((request, response) => {
          const documents: Record<string, object> = {
            [place]: { issuer: `${url}/tenant/one`, jwks_uri: `${url}/keys` },
            '/keys': { keys: [publicKey] },
          }
          const document = documents[request.url ?? '']
          if (document === undefined) response.writeHead(404).end()
          else response.end(JSON.stringify(document))
        })
        await createIssuerKeys(`${url}/tenant/one`).keyOf(header(keyId), token)
      }
    })
  })
})
