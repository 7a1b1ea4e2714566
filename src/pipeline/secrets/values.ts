/** What is said to be a password, a key or a token: the words for it, and whether the value can be one. */
import { entropyOf } from './checks.ts'

/** In the languages whose readers we know of; parts of names such as `DB_PASSWORD` count as well. */
export const nameOfSecret = {
  passwords: [
    'password',
    'passwd',
    'passphrase',
    'passcode',
    'pwd',
    'passwort',
    'kennwort',
    'mot de passe',
    'contraseña',
    'contrasena',
    'senha',
    'wachtwoord',
    'hasło',
    'haslo',
    'parola',
    'şifre',
    'sifre',
    'lösenord',
    'парол',
    'heslo',
    'jelszó',
    'passord',
    'adgangskode',
    'salasana',
    'κωδικός',
    'סיסמה',
    'รหัสผ่าน',
    '密码',
    '密碼',
    'パスワード',
    '비밀번호',
    'كلمة المرور',
    'पासवर्ड',
    'mật khẩu',
    'kata sandi',
  ],
  shortPasswords: ['pass', 'pw', 'psw', 'pwrd', 'mdp', 'pin'],
  keys: [
    'api key',
    'api-key',
    'api_key',
    'apikey',
    'api token',
    'access key',
    'access_key',
    'access-key',
    'accesskey',
    'secret',
    'token',
    'credential',
    'private key',
    'private_key',
    'privatekey',
    'encryption key',
    'encryption_key',
    'encryptionkey',
    'signing key',
    'signing_key',
    'auth key',
    'auth_key',
    'authkey',
    'root_key',
    'master key',
    'master_key',
    'account key',
    'account_key',
    'license key',
    'session key',
    'api-schlüssel',
    'schlüssel',
    'clé api',
    'clave api',
    'chave de api',
    'ключ api',
    'api ключ',
    'токен',
    'apiキー',
    'api密钥',
    '密钥',
    '令牌',
  ],
} as const

/** Written in place of a secret, or a name of something that holds one. */
const placeholder =
  /^(?:[x*.•_-]+|\[.*|\{.*|\(.*|<.*|\$.*|%.*|#.*|@.*|!.*|.*\(.*|.*\).*|your.*|my[-_].*|example.*|changeme.*|change[-_]me|redacted.*|removed.*|secret|password|passw0rd|token|process\.env.*|os\.environ.*|env\..*|test|testing|dummy.*|sample.*|placeholder.*|undefined|null|none|nil|true|false|string|https?:\/\/.*|\.{0,2}\/.*|~\/.*|[A-Z]:\\.*)$/iu
/** Names of algorithms, formats and versions have digits too. */
const technical =
  /^(?:hmac|sha|md|aes|rsa|ecdsa|oauth|base|utf|argon|bcrypt|scrypt|pbkdf|hs|rs|es|ps|ed|x|v|ipv|http|socks|tls|ssl|jwt|uuid|int|uint|varchar|char|bytea|ascii)[-_]?\d[\w-]{0,10}$/iu
const dottedName = /^[\p{L}_$][\w$]*(?:[.:]{1,2}[\p{L}_$][\w$]*)+[.,:]?$/u
const word = /^[\p{L}\p{M}'’-]+[.!?:)]?$/u
/** `camelCase2`, `snake_case_2`, `kebab-case-2`: how programs name things. */
const identifier =
  /^(?:[a-z]+(?:[A-Z][a-z]+)*\d{0,2}|[A-Z]+(?:_[A-Z0-9]+)+|[a-z]+(?:_[a-z]+)+\d{0,2}|[a-z]+(?:-[a-z]+)+-?\d{0,2})[.!?:]?$/u
/** A number, also of something, and a date. */
const measure =
  /^(?:\d[\d.,_]*\s?(?:ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|weeks?|months?|years?|[kmg]i?b|bytes?|bits?|chars?|characters?|px|em|rem|x|times?|%)?|\d{4}-\d\d-\d\d(?:T.*)?)[.]?$/iu

/**
 * Whether a value can be a secret. `password`: people choose them, so little is asked; `key`: programs make them,
 * so they are long and varied; `address`: what stands where a password stands in an address.
 */
export function looksSecret(value: string, as: 'password' | 'key' | 'address'): boolean {
  const text = value.replace(/[.,:!?)\]}*]+$/u, '')
  if (placeholder.test(text) || technical.test(text)) return false
  if (as === 'address') return text.length >= 3
  if (dottedName.test(text) || measure.test(text)) return false
  const kinds = [/[a-z]/u, /[A-Z]/u, /\d/u, /[^\p{L}\p{N}]/u].filter((part) =>
    part.test(text),
  ).length
  if (as === 'password') {
    if (word.test(text)) return false
    return (
      text.length >= 6 && /\d|[^\p{L}\p{N}\s'’_.-]/u.test(text) && kinds >= 2 && !isPhrase(text)
    )
  }
  if (word.test(text) || identifier.test(text)) return false
  const isMixed = text.length >= 24 && (text.match(/[A-Z]/gu)?.length ?? 0) >= 5 && kinds >= 2
  return (
    text.length >= 16 &&
    ((/\d/u.test(text) && kinds >= 2 && entropyOf(text) >= 3) || (isMixed && entropyOf(text) >= 4))
  )
}

/** Words joined by slashes, equals signs or dots are no password. */
function isPhrase(text: string): boolean {
  return /^[\p{L}]+(?:[/=&+.:][\p{L}]+)+$/u.test(text)
}
