import { LogPackageError } from './errors.ts'

/** Bytes: what file systems take. */
const longestName = 255
const longestPath = 4_096

// oxlint-disable-next-line no-control-regex -- those are what is looked for
const control = /[\u0000-\u001F\u007F]/

/**
 * Brings the name of an archive's entry into one form: segments with `/` between them, nothing before and behind.
 *
 * @param place The archive that has the entry.
 * @throws {LogPackageError} `name` if it leads out of the archive's folder, or cannot be a file's name.
 */
export function entryName(place: string, name: string): string {
  const refuse = (why: string): never => {
    throw new LogPackageError(place, 'name', `it has an entry ${JSON.stringify(name.slice(0, 200))}: ${why}`)
  }
  if (name.startsWith('/')) refuse('the name begins at the root')
  if (/^[a-z]:/i.test(name)) refuse('the name begins with a drive')
  if (name.includes('\\')) refuse('the name has a backslash')
  if (control.test(name)) refuse('the name has a control character')
  if (name.includes('\uFFFD')) refuse('the name is no UTF-8')
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.includes('..')) refuse('the name leads upwards')
  if (segments.length === 0) refuse('the name is empty')
  const joined = segments.join('/')
  if (Buffer.byteLength(joined) > longestPath) refuse('the name is too long')
  if (segments.some((segment) => Buffer.byteLength(segment) > longestName)) refuse('the name is too long')
  return joined
}
