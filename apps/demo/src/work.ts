import type { Connection } from '@hcp/connection'
import type { Checks } from './checks.ts'
import type { LocalFile } from './files.ts'
import type { PhaseFigures } from './figures.ts'

/** What each step needs. */
export interface Work {
  readonly connection: Connection
  readonly checks: Checks
  /** Of the phase that the step belongs to. */
  readonly figures: PhaseFigures
  readonly signal: AbortSignal
}

/** An object, and what it was made from. */
export interface StoredObject {
  readonly file: LocalFile
  /** Its path on HCP, as plain text. */
  readonly path: string
  /** The annotation that tells its original name, XML. */
  readonly annotation: string
}

/** Query parameters of that annotation. */
export const annotationParams: Readonly<Record<string, string>> = {
  type: 'custom-metadata',
  annotation: 'hcpsdk_fileobject',
}
