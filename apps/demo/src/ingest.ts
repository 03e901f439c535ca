import { FileBody } from '@hcp/connection'
import type { PathBuilder } from '@hcp/pathbuilder'
import type { LocalFile } from './files.ts'
import { annotationParams, type StoredObject, type Work } from './work.ts'

/**
 * Stores a file under a name that never was before, and beside it the annotation that tells its original name.
 *
 * @param names Makes annotations too.
 * @returns Nothing if HCP did not take it.
 */
export async function ingest(
  file: LocalFile,
  names: PathBuilder,
  { connection, checks, figures, signal }: Work,
): Promise<StoredObject | undefined> {
  const { objectPath: path, annotation = '' } = names.getUnique(fitForXml(file.name))
  const stored = await connection.put(path, new FileBody(file.path), { signal })
  figures.add(stored, file.size)
  if (!checks.that(stored.status === 201, `${file.name}: not stored, status ${stored.status}`))
    return undefined
  const annotated = await connection.put(path, annotation, { params: annotationParams, signal })
  figures.add(annotated, Buffer.byteLength(annotation))
  checks.that(annotated.status === 201, `${file.name}: annotation not stored, status ${annotated.status}`)
  return { file, path, annotation }
}

/** XML cannot hold most control characters, file names can: such a name is percent-encoded. */
function fitForXml(name: string): string {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(name) ? encodeURIComponent(name) : name
}
