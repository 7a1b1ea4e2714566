/**
 * Forged and foreign access tokens of every issuer that this server believes, itself among them: none is
 * accepted, none makes the server ask anybody, and time does not tell how far one came. `FULL=1` runs the
 * size required; `SEED=…` repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { v7 as uuidv7 } from 'uuid'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { startOAuthApp, type OAuthApp } from '../support/oauth-app.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { openForge, type Forge } from './token-forge.ts'
import { issuerNames, openTokenIssuers, type TokenIssuer } from './token-issuers.ts'

const isFull = process.env['FULL'] === '1'
/** Of all issuers together. */
const total = isFull ? { forgeries: 5000, overHttp: 1000 } : { forgeries: 1000, overHttp: 160 }
const size = {
  forgeries: Math.ceil(total.forgeries / issuerNames.length),
  overHttp: Math.ceil(total.overHttp / issuerNames.length),
  ...(isFull ? { pairs: 5000, timeoutMs: 1_800_000 } : { pairs: 300, timeoutMs: 300_000 }),
}
const seed = seedOf(process.env)

let outside: OAuthApp
let own: AccountsApp
let issuers: Awaited<ReturnType<typeof openTokenIssuers>>
beforeAll(async () => {
  // Each is to be judged by itself, not refused for the ones before it.
  const environment = { MINDGLUE_FAILED_KEYS_PER_MINUTE: '100000' }
  outside = await startOAuthApp({ environment })
  own = await startAccountsApp(environment)
  issuers = await openTokenIssuers(outside, own)
}, 120_000)
afterAll(async () => {
  await outside.close()
  await own.close()
})

describe.each(issuerNames)('a token of %s', (name) => {
  let issuer: TokenIssuer
  let forge: Forge
  beforeAll(async () => {
    issuer = issuers[name]
    forge = await openForge(issuer, seededRandom(seed))
  })
  /** Every kind in turn. */
  function* forgeries(count: number) {
    for (let made = 0; made < count; made++) {
      const next = forge.forgeries[made % forge.forgeries.length]
      if (next !== undefined) yield next
    }
  }

  test(
    `is not accepted in any of ${size.forgeries} forged and foreign forms (seed ${seed})`,
    { timeout: size.timeoutMs },
    async () => {
      const { genuine } = issuer
      expect(await issuer.isAccepted(genuine)).toBe(true)
      // What is signed here is right but for what a forgery changes.
      expect(await issuer.isAccepted(await issuer.sign())).toBe(true)
      const asked = issuer.asked().length
      const accepted: string[] = []
      for (const [kind, make] of forgeries(size.forgeries)) {
        if (await issuer.isAccepted(await make())) accepted.push(kind)
      }
      expect(accepted).toEqual([])
      expect(await issuer.isAccepted(genuine)).toBe(true)
      // Made-up key ids: two documents each half minute, however many there are; addresses in headers: none.
      const looks = issuer.asked().slice(asked)
      expect(looks.length).toBeLessThan(20)
      expect(looks.filter((path) => path.includes('evil'))).toEqual([])
    },
  )

  test(
    `over HTTP is 401 in ${size.overHttp} of them and tells nothing`,
    { timeout: size.timeoutMs },
    async () => {
      for (const [kind, make] of forgeries(size.overHttp)) {
        const text = await make()
        const response = await issuer.request(text).catch(() => undefined)
        if (response === undefined) continue // fetch sends no such header
        expect([kind, response.status]).toEqual([kind, text.length > 8192 ? 431 : 401])
        expect(await response.text()).not.toContain(text.slice(-30))
      }
      expect((await issuer.request(issuer.genuine)).status).toBe(200)
    },
  )

  test(
    'with a wrong signature takes the same time whatever it says, within a millisecond',
    { timeout: size.timeoutMs },
    async () => {
      const kinds = {
        'another key': () => forge.foreign(),
        'a made-up key id': () => forge.foreign({}, { kid: uuidv7() }),
        'an unknown subject': () => forge.foreign({ sub: uuidv7() }),
      }
      const times = new Map<string, number[]>()
      for (let pair = 0; pair < size.pairs; pair++) {
        for (const [kind, make] of Object.entries(kinds)) {
          const text = await make()
          const started = performance.now()
          await issuer.isAccepted(text)
          const taken = performance.now() - started
          times.set(kind, times.get(kind)?.concat(taken) ?? [taken])
        }
      }
      const usual = new Map([...times].map(([kind, values]) => [kind, undisturbed(values)]))
      if (isFull) {
        const shown = [...usual].map(([kind, ms]) => `${kind} ${ms.toFixed(3)} ms`)
        process.stderr.write(`${name}: ${shown.join(', ')}\n`)
      }
      expect(Math.max(...usual.values()) - Math.min(...usual.values())).toBeLessThan(1)
    },
  )
})

/** A fifth was quicker: what somebody who measures keeps, whatever else the machine does. */
function undisturbed(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 5)] ?? 0
}
