import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ObjectClient } from '../src/lib/object-client.ts'

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Content that is another for each name and size, and the same each time. */
export function contentFor(name: string, size: number): Buffer {
  const content = Buffer.alloc(size)
  let at = 0
  for (let block = 0; at < size; block++) {
    const seed = createHash('sha512').update(`${name} ${block}`).digest()
    // One digest fills 16 KiB, each 64 bytes of it turned otherwise.
    for (let turn = 0; turn < 256 && at < size; turn++) {
      seed[0] = turn
      at += seed.copy(content, at)
    }
  }
  return content
}

/** Writes files: names and sizes, or names and contents. */
export async function writeTree(
  folder: string,
  files: Readonly<Record<string, number | string | Uint8Array>>,
): Promise<void> {
  for (const [name, what] of Object.entries(files)) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, typeof what === 'number' ? contentFor(name, what) : what)
  }
}

/** Every file below a folder by its name, with the hash of its content. @param which Only these. */
export async function treeOf(
  folder: string,
  which: (name: string) => boolean = () => true,
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = path.slice(folder.length + 1)
    if (entry.isFile() && which(name)) found.set(name, sha256(await readFile(path)))
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** How many versions of anything the namespace has. */
export async function versionCount(client: ObjectClient): Promise<number> {
  const response = await client.connection.get('/proc/statistics')
  return Number(/objectCount="(\d+)"/.exec(await response.text())?.[1])
}
