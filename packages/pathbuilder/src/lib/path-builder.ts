import { annotationXml, unfitCharacter } from './annotation.ts'
import { PathBuilderError } from './errors.ts'
import { nameSource, type NodeKind } from './node.ts'
import type { NameSource } from './name-source.ts'

export interface PathBuilderOptions {
  /**
   * Folder above the 65,536 ones, as plain text (not percent-encoded). It starts with `/`, may end with one, and has no
   * empty, `.` or `..` segments and no control characters. Default `/rest/hcpsdk`.
   */
  readonly initialPath?: string
  /** Also makes the XML annotation that holds the file name. Default false. */
  readonly annotation?: boolean
  /**
   * What the last 12 digits of a name are: `random`, drawn once in each thread, or `mac`, the address of a network card,
   * as the Python package has it. The names then tell on which machine they were made. Default `random`.
   */
  readonly node?: NodeKind
}

/** Where to store one object. */
export interface UniqueName {
  /** The folder, without a slash at the end: `initialPath`, then two levels of two hexadecimal digits. */
  readonly path: string
  /** The object's name in the folder: a version-1 UUID in lower case. The file name has no part in it. */
  readonly name: string
  /** `path`, a slash, and `name`: the same as `getPath(name)`. */
  readonly objectPath: string
  /** XML with the file name, the folder and the UUID, in UTF-8; there if the option `annotation` is on. */
  readonly annotation?: string
}

/**
 * Makes unique object names and the folders for them, and finds the folder of a name again. HCP ingests best when many
 * folders are written to in parallel: successive names lie in different ones.
 *
 * Names are unique over all builders, threads, processes and machines, and clock changes do not matter; for the limits
 * of `node: 'mac'` see the README.
 *
 * @see hcpsdk manual, chapter 7; RFC 9562, 5.1
 */
export class PathBuilder {
  /** The initial path without a slash at its end. */
  readonly #prefix: string
  readonly #annotation: boolean
  readonly #source: NameSource

  /**
   * @throws {TypeError} An option is unknown or has the wrong type.
   * @throws {RangeError} `initialPath` or `node` has an impossible value.
   * @throws {PathBuilderError} `PATHBUILDER_NODE`: `node: 'mac'`, and no network card has an address.
   */
  constructor(options: PathBuilderOptions = {}) {
    refuseUnknown(options)
    const { initialPath = '/rest/hcpsdk', annotation = false, node = 'random' } = options
    if (typeof annotation !== 'boolean') throw new TypeError("option 'annotation' must be true or false")
    if (node !== 'random' && node !== 'mac') throw new RangeError("option 'node' must be 'random' or 'mac'")
    this.#prefix = prefixOf(initialPath)
    this.#annotation = annotation
    this.#source = nameSource(node)
  }

  /**
   * Makes a name that never was before.
   *
   * @param filename Name of the original file; used in the annotation only.
   * @throws {TypeError} `filename` is not a string.
   * @throws {PathBuilderError} `PATHBUILDER_FILENAME`: an annotation is asked for, and XML cannot carry the name
   *   (control characters, half of a surrogate pair).
   */
  getUnique(filename: string): UniqueName {
    if (typeof filename !== 'string') throw new TypeError('filename must be a string')
    const name = this.#source.next()
    const path = this.#folder(name)
    const objectPath = `${path}/${name}`
    if (!this.#annotation) return { path, name, objectPath }
    return { path, name, objectPath, annotation: annotationXml(filename, path, name) }
  }

  /**
   * Finds the full path of an object from its name, given the same `initialPath`.
   *
   * @param objectName A name as `getUnique` makes them: 36 characters. Upper case is refused, since names on HCP differ
   *   by case.
   * @throws {PathBuilderError} `PATHBUILDER_NAME`: anything else.
   */
  getPath(objectName: string): string {
    if (typeof objectName !== 'string' || !NAME.test(objectName)) {
      throw new PathBuilderError(
        'PATHBUILDER_NAME',
        'an object name must be a version-1 UUID of 36 characters in lower case, as getUnique makes them',
      )
    }
    return `${this.#folder(objectName)}/${objectName}`
  }

  /** Byte 4, then byte 3 of the name: of the time's low word the byte that changes fastest comes first. */
  #folder(name: string): string {
    return `${this.#prefix}/${name.slice(6, 8)}/${name.slice(4, 6)}`
  }
}

const NAME = /^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const OPTIONS = ['initialPath', 'annotation', 'node']

function refuseUnknown(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw new TypeError('options must be an object')
  for (const key of Object.keys(options)) {
    if (!OPTIONS.includes(key))
      throw new TypeError(`unknown option '${key}'; there are ${OPTIONS.join(', ')}`)
  }
}

function prefixOf(initialPath: unknown): string {
  if (typeof initialPath !== 'string') throw new TypeError("option 'initialPath' must be a string")
  if (!initialPath.startsWith('/')) throw new RangeError("option 'initialPath' must start with '/'")
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(initialPath) || unfitCharacter(initialPath) !== undefined) {
    throw new RangeError("option 'initialPath' must not hold control characters or halves of surrogate pairs")
  }
  const prefix = initialPath.endsWith('/') ? initialPath.slice(0, -1) : initialPath
  const segments = prefix.split('/').slice(1)
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new RangeError("option 'initialPath' must not have empty, '.' or '..' segments")
  }
  return prefix
}
