/** The greeting between a pipe and a daemon, and who is newer. */
import { expect, test } from 'vitest'
import {
  compareVersions,
  differingSettings,
  encodeControl,
  encodeHello,
  isControl,
  parseControl,
  parseHello,
  type Hello,
} from '../../src/daemon/hello.ts'

test('versions are ordered as Semantic Versioning 2.0.0 orders them', () => {
  // the specification's own example (§11.4), with neighbours
  const ascending = [
    'no version',
    '0.9.9',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.9.0',
    '1.10.0',
  ]
  for (const [place, version] of ascending.entries()) {
    for (const [other, text] of ascending.entries()) {
      expect(Math.sign(compareVersions(version, text)), `${version} and ${text}`).toBe(
        Math.sign(place - other),
      )
    }
  }
  expect(compareVersions('1.0.0+build.5', '1.0.0')).toBe(0)
})

test('a hello survives the way; anything else is none', () => {
  const hello: Hello = {
    request: 'attach',
    protocol: 1,
    version: '1.0.0',
    agent: 'claude',
    namespaceName: 'default',
    settings: { embedder: 'abc' },
  }
  expect(parseHello(Buffer.from(encodeHello(hello)))).toEqual(hello)
  const others = [
    '{',
    '[]',
    '{"jsonrpc":"2.0"}',
    '{"mindglue":{"request":"attach"}}',
    '{"mindglue":1}',
  ]
  for (const text of others) expect(parseHello(Buffer.from(text))).toBeUndefined()
  const long = { ...hello, agent: 'x'.repeat(300) }
  expect(parseHello(Buffer.from(encodeHello(long)))).toBeUndefined()
})

test('a class that one side does not know counts between equal versions only', () => {
  const ours = { embedder: 'a', keys: 'b' }
  expect(differingSettings(ours, { embedder: 'a' }, true)).toEqual(['keys'])
  expect(differingSettings(ours, { embedder: 'a' }, false)).toEqual([])
  expect(differingSettings(ours, { embedder: 'x' }, false)).toEqual(['embedder'])
})

test('no JSON text is taken for a control line', () => {
  const line = Buffer.from(encodeControl({ control: 'drain', replacedBy: '2.0.0' }))
  expect(isControl(line)).toBe(true)
  expect(() => JSON.parse(line.toString('utf8')) as unknown).toThrow(SyntaxError)
  expect(parseControl(line)).toEqual({ control: 'drain', replacedBy: '2.0.0' })
  expect(isControl(Buffer.from('{"control":"drain"}'))).toBe(false)
})
