/**
 * @throws {TypeError | RangeError} for what cannot be the name of an annotation: 1 to 32 letters, digits, periods, underscores
 *   and hyphens, a letter or digit among them (Using a Namespace, "Annotations").
 */
export function checkAnnotationName(name: unknown): string {
  if (typeof name !== 'string')
    throw new TypeError(`the name of an annotation must be a string, not ${typeof name}`)
  if (!/^[A-Za-z0-9._-]{1,32}$/.test(name) || !/[A-Za-z0-9]/.test(name)) {
    throw new RangeError(
      `the name of an annotation must be 1 to 32 letters, digits, ".", "_" or "-", with a letter or digit among them: ${JSON.stringify(name)}`,
    )
  }
  return name
}
