import { randomFillSync } from 'node:crypto'
import { access, constants, lstat, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A file to be stored. */
export interface LocalFile {
  /** Where it is. */
  readonly path: string
  /** What it is called in the folder that was asked for, with `/` between the parts. */
  readonly name: string
  /** Bytes. */
  readonly size: number
}

/** Folders of a working copy that hold what others can make again. */
export const derived: ReadonlySet<string> = new Set(['.git', '.turbo', 'coverage', 'dist', 'node_modules'])

/**
 * Finds all regular files in a folder and the folders below. Symbolic links are not followed.
 *
 * @param without Names of folders not to look into.
 * @returns The files in the order of their names, and the names of those that cannot be opened.
 */
export async function findFiles(
  folder: string,
  without: ReadonlySet<string> = new Set(),
): Promise<{ files: LocalFile[]; unreadable: string[] }> {
  const files: LocalFile[] = []
  const unreadable: string[] = []
  const walk = async (inside: string): Promise<void> => {
    const entries = await readdir(join(folder, inside), { withFileTypes: true })
    for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
      const name = inside === '' ? entry.name : `${inside}/${entry.name}`
      const path = join(folder, name)
      if (entry.isDirectory() && !without.has(entry.name)) await walk(name)
      if (!entry.isFile()) continue
      try {
        await access(path, constants.R_OK)
        files.push({ path, name, size: (await lstat(path)).size })
      } catch {
        // No permission, gone meanwhile, or its name is not UTF-8.
        unreadable.push(name)
      }
    }
  }
  await walk('')
  return { files, unreadable }
}

/** Makes a file of random content. */
export async function makeFile(folder: string, name: string, size: number): Promise<LocalFile> {
  const path = join(folder, name)
  await using file = await open(path, 'wx')
  const piece = Buffer.alloc(1024 * 1024)
  for (let written = 0; written < size; written += piece.length) {
    await file.write(randomFillSync(piece), 0, Math.min(piece.length, size - written))
  }
  return { path, name, size }
}
