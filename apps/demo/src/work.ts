import type { ObjectClient } from '@hcp/objects'
import type { Checks } from './checks.ts'
import type { LocalFile } from './files.ts'

/** What each step needs. */
export interface Work {
  readonly objects: ObjectClient
  readonly checks: Checks
  readonly signal: AbortSignal
}

/** An object, and what it was made from. */
export interface KeptFile {
  readonly file: LocalFile
  /** Its path on HCP, as plain text. */
  readonly path: string
  /** The annotation that tells its original name, XML. */
  readonly annotation: string
}

/** Name of that annotation, as the Python hcpsdk has it. */
export const annotationName = 'hcpsdk_fileobject'
