/** zod → JSON Schema 2020-12 as the OpenAPI document shows it. */
import { z } from 'zod'

export interface JsonSchema {
  readonly [keyword: string]: unknown
}

export interface ObjectSchema {
  readonly properties: Readonly<Record<string, JsonSchema>>
  readonly required: readonly string[]
}

const objectSchema = z.looseObject({
  type: z.literal('object'),
  properties: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  required: z.array(z.string()).default([]),
})

/**
 * What a request may hold (`input`), as strict as the operation is; or what an answer holds (`output`),
 * open for fields that a later version adds.
 */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema: node }) => {
      // A format says the same as zod's long pattern, and generated clients know it.
      if (node.format !== undefined) delete node.pattern
      // Names of JSON members are strings anyway.
      delete node.propertyNames
      if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum
      if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum
      if (io === 'output' && node.additionalProperties === false) delete node.additionalProperties
    },
  })
  return json
}

/** The fields of an operation's input. Throws when its root is something else than one object. */
export function inputFields(schema: z.ZodType): ObjectSchema {
  const { properties, required } = objectSchema.parse(jsonSchema(schema, 'input'))
  return { properties, required }
}
