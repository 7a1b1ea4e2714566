/** URIs of memories: what they name, and that nothing else is accepted. */
import { describe, expect, test } from 'vitest'
import { parseResourceUri, resourceUri, type ResourceName } from '../../src/mcp/resource-uri.ts'

const id = '01890000-0000-7000-8000-000000000001'

describe('a URI', () => {
  test.each<ResourceName>([
    { kind: 'memory', id },
    { kind: 'history', id },
    { kind: 'entity', name: 'Zoë / 100% #1?' },
    { kind: 'recent' },
  ])('$kind is written and read back', (name) => {
    expect(parseResourceUri(resourceUri('team-a', name), 'team-a')).toEqual(name)
  })

  test('of another namespace names nothing', () => {
    expect(
      parseResourceUri(resourceUri('team-b', { kind: 'memory', id }), 'team-a'),
    ).toBeUndefined()
  })

  test.each([
    '',
    'memory://',
    'memory://team-a',
    'memory://team-a/',
    `memory://team-a/${id}/`,
    `memory://team-a/${id}/history/x`,
    `memory://team-a/${id}?x=1`,
    `memory://team-a//${id}`,
    `memory://team-a/../team-b/${id}`,
    `memory://team-a%00/${id}`,
    'memory://team-a/entities/',
    'memory://team-a/entities/%E0%A4%A',
    'memory://team-a/not-an-id',
    'https://team-a/recent',
    'file:///etc/passwd',
    `memory://team-a/entities/${'x'.repeat(4000)}`,
  ])('%j names nothing', (uri) => {
    expect(parseResourceUri(uri, 'team-a')).toBeUndefined()
  })
})
