/** The part of JSON that TypeScript does not know yet; Node has it from 22 on. */
interface SourceTextJson {
  rawJSON(text: string): object
  parse(
    text: string,
    reviver: (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown
}
const json = JSON as unknown as SourceTextJson

/** Numbers of many digits or with an exponent, and texts that look like them. */
const suspect = /(?:\d\.?){16}|\d[eE][+-]?\d{3}/

/**
 * Reads JSON as `JSON.parse` does, save that numbers which JavaScript would round stay as they were written: they are objects that
 * `JSON.stringify` writes so.
 */
export function parseExactly(text: string): unknown {
  if (!suspect.test(text)) return JSON.parse(text)
  return json.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && isRounded(value, source)
      ? json.rawJSON(source)
      : value,
  )
}

function isRounded(value: number, source: string): boolean {
  if (String(value) === source) return false
  const digits = source
    .replace(/[eE].*$/, '')
    .replaceAll(/[-.]/g, '')
    .replace(/^0+/, '')
    .replace(/0+$/, '')
  // So many digits survive, unless the number is too large or too small.
  return digits.length > 15 || !Number.isFinite(value) || (value === 0 && digits !== '')
}
