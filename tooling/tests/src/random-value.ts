/** As much of JSON Schema as descriptions of the service use. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly minimum?: number
  readonly maximum?: number
  readonly format?: string
}

const oddTexts = [
  '',
  ' ',
  '\0',
  '\u{1F600}',
  'é',
  '\uD800',
  "' or 1=1 --",
  '"',
  '%',
  '%00',
  '../..',
  '*',
  'null',
  '-1',
  '0',
  '9007199254740993',
  '1e400',
  'true',
  '2026-02-30T25:00:00',
  '2026-03-04T10:11:12.000345Z',
  'a'.repeat(300),
  'a\nb\r\nc',
  '<script>',
  '__proto__',
]
const plainTexts = [
  'ds1',
  'stdlog',
  'task1',
  'quota "disk full" -node',
  '2026-03-04',
  'error',
  'created_at:asc',
  'asc',
]
const oddNumbers = [0, -1, 1, 2 ** 31, 2 ** 53, -(2 ** 53), 1.5, 1e308, 100, 1000, 1001]

const pick = <Item>(items: readonly Item[], random: () => number): Item =>
  items[Math.floor(random() * items.length)] as Item

/** A value that mostly fits the schema, and sometimes does not at all. */
export function randomValue(schema: Schema, random: () => number, depth = 0): unknown {
  if (random() < 0.08) return pick([null, true, 7, -0.5, 'text', [], {}, [[]], { a: { b: [1] } }], random)
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return random() < 0.9 ? pick(schema.enum, random) : pick(oddTexts, random)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined && choices.length > 0) return randomValue(pick(choices, random), random, depth)
  const type = typeof schema.type === 'string' ? schema.type : schema.type && pick(schema.type, random)
  switch (type) {
    case 'string':
      return random() < 0.6 ? pick(plainTexts, random) : pick(oddTexts, random)
    case 'integer':
    case 'number':
      return random() < 0.6 ? Math.floor(random() * 50) : pick(oddNumbers, random)
    case 'boolean':
      return random() < 0.5
    case 'null':
      return null
    case 'array':
      return Array.from({ length: Math.floor(random() * 4) }, () =>
        randomValue(schema.items ?? {}, random, depth + 1),
      )
    default: {
      if (depth > 4) return {}
      const value: Record<string, unknown> = {}
      for (const [name, inner] of Object.entries(schema.properties ?? { data: { type: 'string' } })) {
        const likely = schema.required?.includes(name) === true ? 0.95 : 0.4
        if (random() < likely) value[name] = randomValue(inner, random, depth + 1)
      }
      if (random() < 0.1) value[pick(oddTexts, random)] = pick(oddTexts, random)
      return value
    }
  }
}
