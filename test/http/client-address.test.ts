/** Whose address a request has, with and without proxies in front. */
import { describe, expect, test } from 'vitest'
import { clientAddress, trustedProxies } from '../../src/http/client-address.ts'

const none = trustedProxies([])
const proxies = trustedProxies(['10.0.0.0/8', '2001:db8::/32', '127.0.0.1'])

describe('without a configured proxy', () => {
  test('it is the address of the connection, whatever the request claims', () => {
    expect(clientAddress('203.0.113.9', undefined, none)).toBe('203.0.113.9')
    expect(clientAddress('203.0.113.9', '198.51.100.1', none)).toBe('203.0.113.9')
    expect(clientAddress('::ffff:203.0.113.9', undefined, none)).toBe('203.0.113.9')
    expect(clientAddress('2001:db8::1', undefined, none)).toBe('2001:db8::1')
  })

  test('on this machine it is unknown when something in front forwards for many', () => {
    expect(clientAddress('127.0.0.1', '198.51.100.1', none)).toBeUndefined()
    expect(clientAddress('::1', '198.51.100.1', none)).toBeUndefined()
    expect(clientAddress('127.0.0.1', undefined, none)).toBe('127.0.0.1')
  })
})

describe('behind a configured proxy', () => {
  test('it is the last address that is no proxy: what stands before it, the client wrote', () => {
    expect(clientAddress('10.1.2.3', '198.51.100.1', proxies)).toBe('198.51.100.1')
    expect(clientAddress('10.1.2.3', '1.1.1.1, 198.51.100.1', proxies)).toBe('198.51.100.1')
    expect(clientAddress('10.1.2.3', '1.1.1.1, 198.51.100.1, 10.9.9.9', proxies)).toBe(
      '198.51.100.1',
    )
    expect(clientAddress('::ffff:10.1.2.3', '2400::1', proxies)).toBe('2400::1')
    expect(clientAddress('2001:db8::5', '198.51.100.1', proxies)).toBe('198.51.100.1')
  })

  test('the port that some proxies write behind it is no part of it', () => {
    for (const [hop, address] of [
      ['198.51.100.1:4711', '198.51.100.1'],
      ['[2400::1]:4711', '2400::1'],
      ['[2400::1]', '2400::1'],
      ['[::ffff:198.51.100.1]:4711', '198.51.100.1'],
    ]) {
      expect(clientAddress('10.1.2.3', hop, proxies)).toBe(address)
      expect(clientAddress('10.1.2.3', `1.1.1.1, ${hop}, 10.9.9.9:80`, proxies)).toBe(address)
    }
    for (const nonsense of ['198.51.100.1:', '[198.51.100.1]x', '2400::1]:80', ':80']) {
      expect(clientAddress('10.1.2.3', nonsense, proxies)).toBeUndefined()
    }
  })

  test('a request that comes past the proxy is its own address', () => {
    expect(clientAddress('203.0.113.9', '198.51.100.1', proxies)).toBe('203.0.113.9')
  })

  test('a proxy that names nobody, or nonsense, leaves it unknown', () => {
    expect(clientAddress('10.1.2.3', undefined, proxies)).toBeUndefined()
    expect(clientAddress('10.1.2.3', '10.9.9.9', proxies)).toBeUndefined()
    expect(clientAddress('10.1.2.3', '198.51.100.1, unknown', proxies)).toBeUndefined()
    expect(clientAddress(undefined, '198.51.100.1', proxies)).toBeUndefined()
  })
})
