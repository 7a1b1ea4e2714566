/** The definitions of the tools: exactly four, in the form that clients and model APIs accept, as committed. */
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/server/validators/ajv'
import { format } from 'prettier'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { RankingTexts } from '../../src/memory/ranking-texts.ts'
import { SealedVectors } from '../../src/memory/sealed-vectors.ts'
import { createTools } from '../../src/mcp/tools.ts'
import { createOperations } from '../../src/operations.ts'

// Definitions are made from schemas alone: nothing here runs an operation.
const unused = (): never => {
  throw new Error('a definition needs no work')
}
const tools = createTools({
  config: { connectorTools: 'off' },
  instructions: unused,
  operations: createOperations({
    embedder: undefined,
    cursorKey: new Uint8Array(32),
    rankingTexts: new RankingTexts(),
    sealedVectors: new SealedVectors(),
  }),
  execute: unused,
  authorize: unused,
  charge: unused,
  principal: unused,
  secret: unused,
  events: { onChange: unused },
}).map(({ definition }) => definition)

/** Every schema inside a schema, with its path. */
function* schemas(schema: unknown, path = ''): Iterable<[string, Record<string, unknown>]> {
  if (typeof schema !== 'object' || schema === null) return
  const entries = Object.entries(schema)
  if (!Array.isArray(schema)) yield [path, Object.fromEntries(entries)]
  for (const [key, value] of entries) yield* schemas(value, `${path}/${key}`)
}

test('the tools are store, recall, forget and export, then the optional ones, in this order', () => {
  const names = ['store', 'recall', 'forget', 'export', 'search', 'fetch']
  const grants = ['grant_create', 'grant_list', 'grant_revoke']
  expect(tools.map(({ name }) => name)).toEqual([...names, ...grants])
})

describe.each(tools)('$name', (tool) => {
  test('is defined as committed', async () => {
    // A change of this file is a change of what every client and model sees.
    const text = await format(JSON.stringify(tool), { parser: 'json', printWidth: 100 })
    await expect(text).toMatchFileSnapshot(`tools/${tool.name}.json`)
  })

  test('has a title, a description that says when to use it, and every hint', () => {
    expect(tool.title).toMatch(/^[A-Z][\w ]{3,40}$/u)
    expect(tool.description?.length).toBeGreaterThan(80)
    expect(tool.description?.length).toBeLessThan(1000)
    expect(tool.annotations).toEqual({
      title: tool.title,
      readOnlyHint: !['store', 'forget', 'grant_create', 'grant_revoke'].includes(tool.name),
      destructiveHint: ['forget', 'grant_revoke'].includes(tool.name),
      idempotentHint: !['store', 'grant_create'].includes(tool.name),
      openWorldHint: false,
    })
  })

  test('takes one flat object without alternatives anywhere', () => {
    expect(tool.inputSchema.type).toBe('object')
    for (const [path, schema] of schemas(tool.inputSchema)) {
      for (const keyword of ['oneOf', 'anyOf', 'allOf', 'not', '$ref', '$defs', 'if']) {
        expect(schema, `${tool.name}${path}`).not.toHaveProperty(keyword)
      }
    }
  })

  test('describes every argument or names it plainly, and refuses others', () => {
    expect(tool.inputSchema['additionalProperties']).toBe(false)
    const names = Object.keys(tool.inputSchema.properties ?? {})
    for (const name of names) expect(name).toMatch(/^[a-z][a-z_]*$/u)
    for (const reserved of ['namespace', 'principal', 'tenant', 'user']) {
      expect(names).not.toContain(reserved)
    }
  })

  test('bounds every text and list it takes', () => {
    for (const [path, schema] of schemas(tool.inputSchema)) {
      const isBounded = 'enum' in schema || 'const' in schema || 'format' in schema
      if (schema['type'] === 'string' && !isBounded) {
        expect(schema, `${tool.name}${path}`).toHaveProperty('maxLength')
      }
      if (schema['type'] === 'array') {
        expect(schema, `${tool.name}${path}`).toHaveProperty('maxItems')
      }
    }
  })

  test('has schemas that compile, and an answer that may grow', () => {
    const validator = new AjvJsonSchemaValidator()
    for (const schema of [tool.inputSchema, tool.outputSchema]) {
      const plain = z.record(z.string(), z.json()).parse(schema)
      expect(() => validator.getValidator(plain)).not.toThrow()
      expect(plain['type']).toBe('object')
    }
    expect(tool.outputSchema).not.toHaveProperty('additionalProperties')
  })

  test('costs a model no more than 1,500 tokens, counted as four characters each', () => {
    const { name, description, inputSchema } = tool
    const text = JSON.stringify({ name, description, inputSchema })
    expect(text.length / 4).toBeLessThan(1500)
  })
})
