import type { StoredObject, Work } from './work.ts'

/** Deletes an object and looks for it again. */
export async function cleanUp(
  { file, path }: StoredObject,
  { connection, checks, figures, signal }: Work,
): Promise<void> {
  const deleted = await connection.delete(path, { signal })
  figures.add(deleted, 0)
  // A repetition after a lost answer finds nothing left to delete.
  const done = deleted.status === 200 || (deleted.status === 404 && deleted.attempts > 1)
  checks.that(done, `${file.name}: not deleted, status ${deleted.status}`)
  const sought = await connection.head(path, { signal })
  figures.add(sought, 0)
  checks.that(sought.status === 404, `${file.name}: still there after its deletion, status ${sought.status}`)
}
