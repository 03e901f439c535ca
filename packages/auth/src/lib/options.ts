/** Reads the one boolean option that a class has; refuses unknown names so that a misspelling is noticed. */
export function booleanOption(options: object, name: string): boolean {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options must be an object like { ${name}: true }`)
  }
  for (const key of Object.keys(options)) {
    if (key !== name) throw new TypeError(`unknown option '${key}'; the only option is '${name}'`)
  }
  const { [name]: value = false } = options as Record<string, unknown>
  if (typeof value !== 'boolean') throw new TypeError(`option '${name}' must be true or false`)
  return value
}
