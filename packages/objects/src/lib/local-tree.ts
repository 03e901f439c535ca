import { isUtf8 } from 'node:buffer'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LocalFileError, onDisk, systemError } from './transfer-errors.ts'

/** Something below a local folder. `name` is relative to that, with `/` between folders. */
export type LocalEntry =
  | { readonly kind: 'file' | 'other' | 'empty folder'; readonly name: string }
  | { readonly kind: 'unusable'; readonly name: string; readonly error: Error }

/**
 * Finds what is below a folder, a folder at a time, as it is read; of the folders still to be read only the names are in memory.
 * Symbolic links are not followed.
 *
 * @throws {LocalFileError} if there is no such folder.
 */
export async function* localEntries(folder: string): AsyncGenerator<LocalEntry, void> {
  const facts = await onDisk(folder, 'read', stat(folder))
  if (!facts.isDirectory()) throw new LocalFileError(folder, 'kind', `${folder} is not a folder`)
  const pending = ['']
  for (let inside = pending.pop(); inside !== undefined; inside = pending.pop()) {
    const path = join(folder, inside)
    let empty = true
    try {
      // As bytes: a name need not be text.
      const entries = await opendir(path, { encoding: 'buffer' as BufferEncoding })
      for await (const entry of entries) {
        empty = false
        const bytes = entry.name as unknown as Buffer
        const name = inside + bytes.toString()
        if (!isUtf8(bytes)) {
          const message = `${join(folder, name)}: a name that is not valid UTF-8 cannot be used`
          yield { kind: 'unusable', name, error: new LocalFileError(join(folder, name), 'name', message) }
        } else if (entry.isDirectory()) pending.push(`${name}/`)
        else yield { kind: entry.isFile() ? 'file' : 'other', name }
      }
      if (empty && inside !== '') yield { kind: 'empty folder', name: inside }
    } catch (cause) {
      if (inside === '') throw systemError(path, 'read', cause)
      yield { kind: 'unusable', name: inside, error: systemError(path, 'read', cause) }
    }
  }
}
