/** zod → the JSON Schema of a tool, in the plain subset that model APIs accept. */
import { z } from 'zod'

export interface ObjectSchema {
  readonly [keyword: string]: unknown
  readonly type: 'object'
}

/** Schema of a tool's arguments: one flat object. Throws TypeError when the root is something else. */
export function inputSchema(schema: z.ZodType): ObjectSchema {
  return objectSchema(schema, 'input')
}

/** Schema of a tool's structured answer. Open for fields that a later version adds. */
export function outputSchema(schema: z.ZodType): ObjectSchema {
  return objectSchema(schema, 'output')
}

function objectSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => {
      // A format says the same as zod's long pattern and costs a model a tenth of the tokens.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern
      // Names of JSON members are strings anyway, and some model APIs refuse the keyword.
      delete jsonSchema.propertyNames
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      if (io === 'output' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties
      }
    },
  })
  const { type } = json
  if (type !== 'object') throw new TypeError('a tool schema must be one object')
  return { ...json, type }
}
