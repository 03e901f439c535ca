import { isUtf8 } from 'node:buffer'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { factsOf } from './local-files.ts'

const device = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i
// eslint-disable-next-line no-control-regex
const notOnWindows = /[<>:"\\|?*\u0000-\u001f]|[. ]$/

/**
 * The name that one part of a path has as a local file.
 *
 * @param encoded Percent-encoded, as listings have it. @throws {RangeError} if it cannot be one.
 */
export function localName(encoded: string, platform: NodeJS.Platform = process.platform): string {
  const bytes = Buffer.from(
    encoded.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  )
  if (!isUtf8(bytes)) throw new RangeError(`its name on HCP is not valid UTF-8: ${encoded}`)
  const name = bytes.toString()
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
    throw new RangeError(`its name on HCP cannot be that of a file: ${encoded}`)
  if (platform === 'win32' && (notOnWindows.test(name) || device.test(name)))
    throw new RangeError(`its name on HCP cannot be that of a file on Windows: ${encoded}`)
  return name
}

/** Sees to it that two objects do not become one file where a file system takes their names for the same. */
export class NameGuard {
  readonly #taken: Map<string, string> | undefined

  /** @param folds Whether the file system takes names for the same that differ in case or in the form of accents. */
  constructor(folds: boolean) {
    this.#taken = folds ? new Map() : undefined
  }

  /** @throws {RangeError} if the name falls together with one that was claimed. */
  claim(name: string): void {
    if (this.#taken === undefined) return
    const key = name.normalize('NFC').toLowerCase()
    const other = this.#taken.get(key)
    if (other !== undefined)
      throw new RangeError(`on this file system it would be the same file as ${JSON.stringify(other)}`)
    this.#taken.set(key, name)
  }
}

/** Whether a folder's file system takes names for the same that differ in case or in the form of accents. */
export async function foldsNames(folder: string): Promise<boolean> {
  const probe = join(folder, 'probe-\u00e9')
  await writeFile(probe, '')
  const found = await Promise.all(
    ['PROBE-\u00c9', 'probe-e\u0301'].map((name) => factsOf(join(folder, name))),
  )
  await rm(probe)
  return found.some((facts) => facts !== undefined)
}
