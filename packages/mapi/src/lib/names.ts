import { checkInteger, checkOptions, checkString } from '@hcp/connection/support'
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

/** Steps back in a list that loses names while it is read; then it is read on from where it is. */
const mostStepsBack = 1000

/**
 * Pages overlap by one name. If the first of a page is not one that we have had, names before it have gone, and some that came after have
 * moved up past us: we step back until we meet one that is known. Names that are known are not given again. A page that brings nothing new
 * is the end, also of a list that knows no pages and comes whole each time.
 *
 * @see HCP Management API Reference, "Paging, sorting and filtering": there is no total, and no sign that more follows
 */
export function namesOf(client: MapiClient, path: MapiPath, list: NameList, options: PageOptions): Names {
  checkOptions('MapiClient.names', options, known)
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
    for (;;) {
      const overlap = offset > 0 ? 1 : 0
      const asked = pageSize + overlap
      // oxlint-disable-next-line no-await-in-loop -- where a page begins depends on the one before
      const found = await client.read(path, schema, {
        ...call,
        params: { ...params, offset: offset - overlap, count: asked },
      })
      const fresh = [...new Set(found)].filter((name) => !seen.has(name))
      for (const name of fresh) seen.add(name)
      if (fresh.length > 0) yield fresh
      const moved = overlap > 0 && fresh.length > 0 && found[0] === fresh[0]
      // An empty page behind the end of a list that has become shorter tells as little.
      const shrunk = overlap > 0 && found.length === 0
      if ((moved || shrunk) && stepsBack < mostStepsBack) {
        stepsBack++
        offset = Math.max(0, offset - pageSize)
        continue
      }
      if (found.length !== asked || fresh.length === 0) return
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
