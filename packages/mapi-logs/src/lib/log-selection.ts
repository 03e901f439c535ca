import { type LogType, logTypes } from './log-type.ts'

/** What of a prepared package is to be downloaded. */
export interface LogSelection {
  /**
   * General nodes by their numbers: the last parts of their back-end addresses. Default: all of them. An empty list means none, for
   * logs of S Series nodes alone.
   */
  readonly nodes?: readonly (number | string)[]
  /** S Series nodes by their names. They must have been named to `prepare` too. Default: none. */
  readonly snodes?: readonly string[]
  /** Kinds of logs of the General nodes. Default: all. */
  readonly content?: readonly LogType[]
}

// oxlint-disable-next-line no-control-regex -- those are what is refused
const unusable = /[\u0000-\u001F\u007F,]/

/** @throws {TypeError | RangeError} @returns The names, each once. */
export function checkSnodes(snodes: readonly string[]): readonly string[] {
  if (!Array.isArray(snodes)) throw new TypeError('snodes must be a list of names')
  return [
    ...new Set(
      (snodes as readonly unknown[]).map((name) => {
        if (typeof name !== 'string') throw new TypeError('snodes must be a list of names, each a text')
        const trimmed = name.trim()
        if (trimmed === '' || trimmed.length > 255 || unusable.test(trimmed))
          throw new RangeError(
            `${JSON.stringify(name)} cannot be the name of an S Series node: it is empty, too long, or has a comma or control character`,
          )
        return trimmed
      }),
    ),
  ]
}

function checkNodes(nodes: readonly (number | string)[]): readonly string[] {
  if (!Array.isArray(nodes)) throw new TypeError('nodes must be a list of numbers')
  return [
    ...new Set(
      (nodes as readonly unknown[]).map((node) => {
        if (typeof node !== 'number' && typeof node !== 'string')
          throw new TypeError('nodes must be a list of numbers, such as 101 or "101"')
        const text = String(node).trim()
        if (!/^\d{1,5}$/.test(text))
          throw new RangeError(`${JSON.stringify(node)} is not the number of a node, such as 101`)
        return text
      }),
    ),
  ]
}

function checkContent(content: readonly LogType[]): readonly LogType[] {
  if (!Array.isArray(content)) throw new TypeError(`content must be a list of ${logTypes.L_ALL.join(', ')}`)
  if (content.length === 0)
    throw new RangeError(
      'content must name a kind of logs; leave it out for all kinds, or give nodes: [] for none',
    )
  for (const type of content as readonly unknown[]) {
    if (!(logTypes.L_ALL as readonly unknown[]).includes(type))
      throw new RangeError(`content must be of ${logTypes.L_ALL.join(', ')}, not ${JSON.stringify(type)}`)
  }
  return [...new Set(content)]
}

const escaped: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
const element = (name: string, values: readonly string[]): string =>
  `  <${name}>${values.join(',').replaceAll(/[&<>]/g, (character) => escaped[character] ?? '')}</${name}>\n`

/**
 * The document that asks for a download. To HCP an empty `nodes` means none and its absence all.
 *
 * @throws {TypeError | RangeError} for what cannot be selected.
 */
export function downloadDocument({ nodes, snodes = [], content = logTypes.L_ALL }: LogSelection): string {
  const chosen = nodes === undefined ? '' : element('nodes', checkNodes(nodes))
  const checked = checkSnodes(snodes)
  if (nodes?.length === 0 && checked.length === 0)
    throw new RangeError('neither nodes nor snodes are selected: there is nothing to download')
  return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<logDownload>\n${chosen}${element('snodes', checked)}${element('content', checkContent(content))}</logDownload>\n`
}
