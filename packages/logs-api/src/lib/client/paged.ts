import { LogsApiError } from './errors.ts'

/** Item by item over all pages; nothing is fetched before it is asked for. */
export interface Paged<Item> extends AsyncIterable<Item> {
  /** Page by page. Each iteration begins anew. */
  pages(): AsyncIterable<Page<Item>>
}

export interface Page<Item> {
  readonly items: readonly Item[]
  /** Where the next page begins: to go on there later. `undefined`: this is the last one. */
  readonly next: string | undefined
}

export function paged<Item>(
  first: string | undefined,
  fetchPage: (from: string | undefined) => Promise<Page<Item>>,
): Paged<Item> {
  async function* pages(): AsyncGenerator<Page<Item>, void> {
    let from = first
    for (;;) {
      const page = await fetchPage(from)
      yield page
      if (page.next === undefined) return
      if (page.next === from)
        throw new LogsApiError(
          'LOGS_API_PROTOCOL',
          'The service leads from a page to the same page again: a listing would never end.',
          false,
        )
      from = page.next
    }
  }
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const { items } of pages()) yield* items
    },
  }
}
