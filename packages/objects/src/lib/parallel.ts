/**
 * Works on items, so many at a time, as they come; the next one is asked for when somebody is free. What `work` throws ends all: what
 * is under way is aborted and waited for, then it is thrown on.
 *
 * @param items Opened with a signal that ends with the work, and so do all calls of `work`.
 * @param signal Ends the work with its reason.
 */
export async function inParallel<Item>(
  concurrency: number,
  signal: AbortSignal | undefined,
  items: (signal: AbortSignal) => AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  signal?.throwIfAborted()
  const stop = new AbortController()
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const source = items(either)
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let failure: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    try {
      for (;;) {
        either.throwIfAborted()
        const next = await iterator.next()
        if (next.done === true) return
        await work(next.value, either)
      }
    } catch (error) {
      failure ??= { error }
      stop.abort(error)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  if (failure === undefined) return
  await iterator.return?.()
  signal?.throwIfAborted()
  throw failure.error
}
