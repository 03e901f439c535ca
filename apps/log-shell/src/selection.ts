import { type LogSelection, type LogType, logTypes } from '@hcp/mapi-logs'

/** What the next package is to hold, as it has been typed in. */
export interface Selection extends LogSelection {
  readonly startDate?: string
  readonly endDate?: string
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '')

/** The selection with one thing in it changed. @throws {RangeError} that says what can be typed. */
export function select(selection: Selection, what: string, text: string): Selection {
  const { [what as keyof Selection]: _, ...others } = selection
  switch (what) {
    case 'startDate':
    case 'endDate':
      if (text === 'today' || text === '') return others
      if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) throw new RangeError('Type a day like 2026-11-20, or "today".')
      return { ...others, [what]: text }
    case 'nodes':
      if (text === 'all' || text === '') return others
      if (text === 'none') return { ...others, nodes: [] }
      if (!words(text).every((word) => /^\d+$/.test(word)))
        throw new RangeError('Type numbers of nodes like 101,103, or "all" or "none".')
      return { ...others, nodes: words(text) }
    case 'snodes':
      return text === 'none' || text === '' ? others : { ...others, snodes: words(text) }
    default:
      return text === 'all' || text === '' ? others : { ...others, content: words(text).map(typeOf) }
  }
}

function typeOf(word: string): LogType {
  const found = logTypes.L_ALL.find((type) => type.startsWith(word.toUpperCase()))
  if (found === undefined)
    throw new RangeError(`There is no kind "${word}"; type some of ${kinds}, or "all".`)
  return found
}

const kinds = logTypes.L_ALL.join(', ').toLowerCase()

export function describeSelection({ startDate, endDate, nodes, snodes, content }: Selection): string {
  return [
    `from    ${startDate ?? 'today'}`,
    `to      ${endDate ?? 'today'}`,
    `nodes   ${nodes === undefined ? 'all' : nodes.length === 0 ? 'none' : nodes.join(', ')}`,
    `snodes  ${snodes?.join(', ') ?? 'none'}`,
    `types   ${content?.join(', ').toLowerCase() ?? 'all'}`,
  ].join('\n')
}
