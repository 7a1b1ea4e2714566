/**
 * Values without a shape of their own that what stands beside them gives away: `the Mistral key I got: …`. A value
 * counts when it looks drawn at random and a word for a key, or the name of who issues such keys, is near.
 */
import { entropyOf } from './checks.ts'
import type { Rule } from './rule.ts'

/** How far a word may stand from the value: two lines. */
const reach = 140

/** Words for a key, in the languages whose readers we know of; a letter after them makes another word. */
const keyWords =
  'keys?|tokens?|secrets?|credentials?|creds?|auth|bearer|pat|passwords?|passwor[dt]|passwd|pwd|passphrase|schlüssel|geheimnis|zugang|zugangsdaten|clé|jeton|clave|llave|chave|chiave|sleutel|klucz|anahtar[ıi]?|nyckel|nøkkel|nøgle|avain|kulcs|klíč|kunci|khóa|ключ(?:а|ом|и|ей)?|токен(?:а|ом|ы)?|секрет(?:а|ный)?|пароль'
const unspacedWords =
  'キー|鍵|トークン|シークレット|密钥|密鑰|金鑰|秘钥|令牌|口令|키|토큰|مفتاح|رمز|توكن|מפתח|कुंजी|टोकन|คีย์|โทเคน|รหัส'
/** Who issues keys without a shape: a value right after such a name needs no other word. */
const issuers =
  'mistral|cohere|datadog|twilio|algolia|azure|openai|heroku|cloudflare|eleven ?labs|assembly ?ai|deepgram|together|stability|wandb|vercel|hetzner|linode|railway|circleci|travis|codecov|snyk|pagerduty|opsgenie|gitea|auth0|okta|spotify|paypal|binance|kraken|coinbase|trello|asana|zendesk|freshdesk|postmark|sparkpost|mailjet|vonage|openweather|rollbar|mixpanel|amplitude'

/** What a number is called that opens nothing, wherever it stands in between. */
const otherWords =
  'sha-?\\d*|md5|hash(?:es)?|commits?|digest|checksums?|integrity|fingerprint|revision|etag|uuid|guid|nonce|ids?'
/** The same right before the value or the word: a file's path, a cache key. */
const nearWords = `${otherWords}|rev|salt|trace|span|request|version|build|branch|account|zone|file|path|url|link|image|layer|block|tx|transaction|address|public|primary|foreign|partition|cache|sort|object|row|dedupe|idempotency|unique|publishable|host|map`

const cue = new RegExp(
  String.raw`(?<![\p{L}])(?:${keyWords})(?![\p{L}])|(?<=[a-z])(?:Key|Token|Secret|KEY)s?(?![\p{L}])|(?:${unspacedWords})|(?<![\p{L}])(?:${issuers})(?![\p{L}])`,
  'giu',
)
const other = new RegExp(String.raw`(?<![\p{L}])(?:${otherWords})(?![\p{L}])`, 'iu')
const nearOther = new RegExp(String.raw`(?<![\p{L}])(?:${nearWords})[^\p{L}\d]{0,3}$`, 'iu')

export const contextRule: Rule = {
  kind: 'secret',
  hints: [
    ...new Set(
      `${keyWords}|${unspacedWords}|${issuers}`
        .replaceAll(/\(\?:[^)]*\)\??|\[[^\]]*\]\??|s\?| \?/gu, '')
        .split('|'),
    ),
  ],
  anyCase: true,
  pattern:
    /(?<![A-Za-z\d_+/.~-])(?<secret>(?!\/\/)[\w+/-][\w+/.~-]{10,1998}[\w+/~-]={0,2})(?![A-Za-z\d+/~@=(-])/gu,
  accepts: (secret, text, at) => isDrawn(secret) && isCalledKey(secret, text, at),
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu

/** Whether it looks drawn at random: letters and digits that take turns as no name and no number has them. */
function isDrawn(value: string): boolean {
  if (uuid.test(value)) return true
  if (value.length < 12 || /^(?:sha\d|md5|a\d{3}(?:cbc|gcm|kw)|https?|v\d+[.-])/iu.test(value))
    return false
  const turns = value.match(/\d(?=[A-Za-z])|[A-Za-z](?=\d)/gu)?.length ?? 0
  const cases = value.match(/[a-z](?=[A-Z])|[A-Z](?=[a-z])/gu)?.length ?? 0
  const isMixed = turns >= 3 || (turns >= 1 && (turns + cases) / value.length >= 0.45)
  return isMixed && entropyOf(value) >= 3
}

function isCalledKey(secret: string, text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - reach), at)
  if (nearOther.test(before)) return false
  return isCalledBefore(before) || isCalledAfter(text, at + secret.length)
}

/** By the last word for a key before it, unless something between says that it is another thing. */
function isCalledBefore(before: string): boolean {
  const last = [...before.matchAll(cue)].at(-1)
  if (last === undefined) return false
  const between = before.slice(last.index + last[0].length)
  return !other.test(between) && !nearOther.test(before.slice(0, last.index))
}

function isCalledAfter(text: string, end: number): boolean {
  const after = /^[^\n.;]*/u.exec(text.slice(end, end + reach))?.[0] ?? ''
  const [first] = after.matchAll(cue)
  return first !== undefined && !other.test(after.slice(0, first.index))
}
