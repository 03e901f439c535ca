/** Addresses of a name. */
export interface Addresses {
  readonly ips: readonly string[]
  /** Seconds for which they hold, the least of all records used; `undefined` if nobody said. */
  readonly ttl: number | undefined
}

/** Each address once, in their order. */
export function unique(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)]
}
