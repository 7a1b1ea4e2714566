/** The npm package `fernet` as an independent implementation of version 0x80. Slow and lenient: tests only. */
import { createRequire } from 'node:module'

interface OracleToken {
  encode(message: string): string
  decode(): string
}

interface Oracle {
  readonly Secret: new (secret: string) => object
  readonly Token: new (options: { secret: object; token?: string; ttl: number }) => OracleToken
}

// The package has no types; this is the part of its interface that its README shows.
function isOracle(value: unknown): value is Oracle {
  return typeof value === 'function' && 'Secret' in value && 'Token' in value
}

function loadOracle(): Oracle {
  const loaded: unknown = createRequire(import.meta.url)('fernet')
  if (!isOracle(loaded)) throw new Error('the package fernet has another interface')
  return loaded
}

const oracle = loadOracle()

export function oracleSeal(secret: string, text: string): string {
  return new oracle.Token({ secret: new oracle.Secret(secret), ttl: 0 }).encode(text)
}

export function oracleOpen(secret: string, token: string): string {
  return new oracle.Token({ secret: new oracle.Secret(secret), token, ttl: 0 }).decode()
}
