/** Waits for a promise and keeps the process alive meanwhile. */
export async function keepAlive<Value>(promise: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => {}, 2 ** 30)
  try {
    return await promise
  } finally {
    clearInterval(timer)
  }
}

/** Waits for a promise, at most until the signal fires; then rejects with its reason. */
export async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([aborted, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
