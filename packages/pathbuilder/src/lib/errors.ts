/**
 * - `PATHBUILDER_NAME`: the text is not an object name as `getUnique` makes them.
 * - `PATHBUILDER_FILENAME`: the file name holds a character that XML cannot carry.
 * - `PATHBUILDER_NODE`: no network card has an address that could go into the names.
 */
export type PathBuilderErrorCode = 'PATHBUILDER_NAME' | 'PATHBUILDER_FILENAME' | 'PATHBUILDER_NODE'

/** A name could not be made, or not be understood. */
export class PathBuilderError extends Error {
  override name = 'PathBuilderError'
  /** Stable within a major version: branch on this, not on the message. */
  readonly code: PathBuilderErrorCode

  constructor(code: PathBuilderErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
