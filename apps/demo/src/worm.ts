import { verify } from './verify.ts'
import type { StoredObject, Work } from './work.ts'

/** Tries to overwrite an object: without versioning HCP refuses (write once, read many), and the object is as it was. */
export async function tryToOverwrite(object: StoredObject, work: Work): Promise<void> {
  const { connection, checks, figures, signal } = work
  const content = 'something else'
  const answer = await connection.put(object.path, content, { signal })
  figures.add(answer, content.length)
  const { status } = answer
  checks.that(status === 409, `${object.file.name}: overwriting it was answered with ${status}, not with 409`)
  await verify(object, work)
}
