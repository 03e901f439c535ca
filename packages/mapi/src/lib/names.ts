import { checkInteger, checkOptions, checkString } from '@hcp/connection/support'
import { MapiDocumentError } from './errors.ts'
import type { MapiCallOptions, MapiClient, ReadOptions } from './mapi-client.ts'
import type { MapiPath } from './mapi-path.ts'
import { nameList } from './schema.ts'

/** How a collection is called in its document, and what its items: `{ root: 'userAccounts', element: 'username' }`. */
export interface NameList {
  readonly root: string
  readonly element: string
}

/** Times in milliseconds; `deadline` is for each page. */
export interface PageOptions extends Omit<MapiCallOptions, 'params'>, Pick<ReadOptions, 'format' | 'retry'> {
  /** Names to ask for at a time. Default 1,000. */
  readonly pageSize?: number
  /** What to sort by: `name`, `hardQuota`, or `username`, as the collection has it. Default: the collection's `element`. */
  readonly sortType?: string
  /** Default `ascending`. */
  readonly sortOrder?: 'ascending' | 'descending'
  /** What the filter looks at: `name`, `tag`, or `username`. Default: the collection's `element`. */
  readonly filterType?: string
  /** Only what begins with this, or equals it, whatever its case. At most 64 characters, no comma. */
  readonly filter?: string
}

/** Names one by one; or page by page, pages being never empty. */
export interface Names extends AsyncIterable<string> {
  pages(): AsyncIterable<string[]>
}

const known: ReadonlySet<string> = new Set([
  'signal',
  'deadline',
  'headersTimeout',
  'bodyTimeout',
  'roles',
  'format',
  'retry',
  'pageSize',
  'sortType',
  'sortOrder',
  'filterType',
  'filter',
])

/** HCP has at most 10,000 namespaces. A list that brings more names than this is one without end. */
const mostNames = 100_000

/** Steps back in a list that loses names while it is read; then it is read on from where it is. */
const mostStepsBack = 1000

/**
 * Pages overlap by one name. If the first of a page is not one that we have had, names before it have gone, and some that came after have
 * moved up past us: we step back until we meet one that is known. Names that are known are not given again. The end is a page that is not
 * full; or that a list which knows no pages came whole; or that so many pages brought nothing new as there can be.
 *
 * @see HCP Management API Reference, "Paging, sorting and filtering": there is no total, and no sign that more follows
 */
export function namesOf(client: MapiClient, path: MapiPath, list: NameList, options: PageOptions): Names {
  checkOptions('MapiClient.names', options, known)
  if (list === null || typeof list !== 'object')
    throw new TypeError(
      "list must say how the collection is called, such as { root: 'namespaces', element: 'name' }",
    )
  const { root, element } = list
  const schema = nameList(checkString('root', root), checkString('element', element))
  const {
    pageSize = 1000,
    sortType = element,
    sortOrder = 'ascending',
    filterType,
    filter,
    ...call
  } = options
  checkInteger('pageSize', pageSize, 1, 100_000)
  checkString('sortType', sortType)
  if (sortOrder !== 'ascending' && sortOrder !== 'descending') {
    throw new RangeError('sortOrder must be "ascending" or "descending"')
  }
  const params = { sortType, sortOrder, ...filterParams(element, filterType, filter) }

  async function* pages(): AsyncGenerator<string[], void> {
    const seen = new Set<string>()
    let offset = 0
    let stepsBack = 0
    let barren = 0
    for (;;) {
      const overlap = offset > 0 ? 1 : 0
      const count = pageSize + overlap
      // oxlint-disable-next-line no-await-in-loop -- where a page begins depends on the one before
      const found = await client.read(path, schema, {
        ...call,
        params: { ...params, offset: offset - overlap, count },
      })
      const [first] = found
      if (overlap > 0 && (first === undefined || !seen.has(first)) && stepsBack < mostStepsBack) {
        stepsBack++
        offset = Math.max(0, offset - pageSize)
        continue
      }
      const fresh = [...new Set(found)].filter((name) => !seen.has(name))
      for (const name of fresh) seen.add(name)
      if (seen.size > mostNames) {
        throw new MapiDocumentError(
          `The list ${client.target.origin}${path} has more than ${mostNames} names, and no end.`,
        )
      }
      if (fresh.length > 0) yield fresh
      barren = fresh.length > 0 ? 0 : barren + 1
      if (found.length !== count || barren > seen.size / pageSize + 1) return
      offset += pageSize
    }
  }
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const page of pages()) yield* page
    },
  }
}

function filterParams(
  element: string,
  filterType: string | undefined,
  filter: string | undefined,
): Record<string, string> {
  if (filter === undefined) {
    if (filterType !== undefined) throw new TypeError('filterType is of no effect without filter')
    return {}
  }
  checkString('filter', filter)
  if (filter.length > 64 || filter.includes(',')) {
    throw new RangeError('filter must have at most 64 characters and no comma')
  }
  return { filterType: checkString('filterType', filterType ?? element), filterString: filter }
}
