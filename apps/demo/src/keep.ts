import { FileBody } from '@hcp/connection'
import type { StoredObject } from '@hcp/objects'
import type { PathBuilder } from '@hcp/pathbuilder'
import type { LocalFile } from './files.ts'
import { annotationName, type KeptFile, type Work } from './work.ts'

/**
 * Stores a file under a name that never was before, together with an annotation that tells its original name.
 *
 * @param names Makes annotations too.
 */
export async function keep(
  file: LocalFile,
  names: PathBuilder,
  { objects, checks, signal }: Work,
): Promise<{ kept: KeptFile; stored: StoredObject }> {
  const { objectPath: path, annotation = '' } = names.getUnique(fitForXml(file.name))
  const stored = await objects.put(path, new FileBody(file.path), {
    annotation: { name: annotationName, content: annotation },
    signal,
  })
  checks.that(stored.hash !== undefined, `${file.name}: HCP does not say what it stored`)
  return { kept: { file, path, annotation }, stored }
}

/** XML cannot hold most control characters, file names can: such a name is percent-encoded. */
function fitForXml(name: string): string {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(name) ? encodeURIComponent(name) : name
}
