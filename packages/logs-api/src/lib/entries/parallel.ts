/** Does the work for all items, so many at a time. After a failure none is begun; it rejects when those that were have ended. */
export async function inParallel<Item>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values()
  let failed = false
  const line = async (): Promise<void> => {
    for (const item of left) {
      if (failed) return
      try {
        await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(most, items.length) }, line))
  for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason
}

/** The results in the order of the items, made ahead of who reads them: so many at a time. Who leaves aborts the signal. */
export async function* inOrder<Item, Result>(
  items: readonly Item[],
  most: number,
  make: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result, void> {
  const leaving = new AbortController()
  const begun: Promise<Result>[] = []
  let next = 0
  try {
    while (next < items.length || begun.length > 0) {
      while (next < items.length && begun.length < most) {
        const result = make(items[next++] as Item, leaving.signal)
        // It may fail before anybody asks.
        result.catch(() => undefined)
        begun.push(result)
      }
      yield await (begun.shift() as Promise<Result>)
    }
  } finally {
    leaving.abort()
  }
}
