/** How one address fares. */
export interface AddressHealth {
  readonly address: string
  /** `failed`: skipped until `retryAt`; `probing`: one caller is trying it, the others still skip it. */
  readonly state: 'healthy' | 'failed' | 'probing'
  /** Failures since it last succeeded. */
  readonly failures: number
  /** When it is next handed out, in milliseconds of the circle's clock; only if it is not healthy. */
  readonly retryAt?: number
}

export interface RingSettings {
  /** Milliseconds for which an address is skipped after its first failure; doubles with each further one. */
  readonly firstSkip: number
  /** Milliseconds for which an address is skipped at most, also while the result of a probe is awaited. */
  readonly longestSkip: number
  /** A number from 0 to below 1, as `Math.random`. */
  readonly random: () => number
}

interface Node {
  readonly address: string
  failures: number
  retryAt: number
  probing: boolean
}

/**
 * Addresses in a random order, handed out one after the other, and how each fares. Does nothing by itself:
 * time is passed in.
 */
export class Ring {
  readonly #settings: RingSettings
  readonly #byAddress = new Map<string, Node>()
  #nodes: Node[] = []
  #position = 0
  #unhealthy = 0

  constructor(settings: RingSettings) {
    this.#settings = settings
  }

  get size(): number {
    return this.#nodes.length
  }

  get addresses(): readonly string[] {
    return this.#nodes.map(({ address }) => address)
  }

  /**
   * Takes over a new list. Addresses that stay keep their turn and their health; new ones join at random
   * places. The order does not depend on that of the list, so that many circles start and fail over evenly.
   */
  replace(addresses: readonly string[]): void {
    const wanted = new Set(addresses)
    const turn = this.#nodes.findIndex((_, step) => wanted.has(this.#at(step).address))
    const next = turn === -1 ? undefined : this.#at(turn)
    this.#nodes = this.#nodes.filter(({ address }) => wanted.has(address))
    for (const address of this.#byAddress.keys()) {
      if (!wanted.has(address)) this.#byAddress.delete(address)
    }

    for (const address of [...wanted].toSorted()) {
      if (this.#byAddress.has(address)) continue
      const node = { address, failures: 0, retryAt: 0, probing: false }
      this.#byAddress.set(address, node)
      this.#nodes.splice(Math.floor(this.#settings.random() * (this.#nodes.length + 1)), 0, node)
    }
    this.#position = next === undefined ? 0 : this.#nodes.indexOf(next)
    this.#unhealthy = this.#nodes.filter(({ failures }) => failures > 0).length
  }

  /**
   * The next address whose turn it is and that is not skipped; if all are, the one whose skip ends first.
   * `undefined` if all are excluded.
   */
  take(now: number, exclude?: ReadonlySet<string>): string | undefined {
    if (this.#nodes.length === 0) return undefined
    if (this.#unhealthy === 0 && exclude === undefined) return this.#turn(0).address

    let soonest: Node | undefined
    for (let step = 0; step < this.#nodes.length; step += 1) {
      const node = this.#at(step)
      if (exclude?.has(node.address)) continue
      if (node.failures === 0) return this.#turn(step).address
      if (node.retryAt <= now) return this.#probe(this.#turn(step), now)
      if (soonest === undefined || node.retryAt < soonest.retryAt) soonest = node
    }
    return soonest && this.#probe(soonest, now)
  }

  /** All addresses that are not excluded, in the order in which they should be tried. Takes one turn. */
  takeAll(now: number, exclude?: ReadonlySet<string>): string[] {
    const first = this.take(now, exclude)
    if (first === undefined) return []
    const others = this.#nodes
      .map((_, step) => this.#at(step))
      .filter(({ address }) => address !== first && !exclude?.has(address))
      .toSorted((one, other) => one.retryAt - other.retryAt)
    return [first, ...others.map(({ address }) => address)]
  }

  /** Reports a failure. Nothing happens for an address that has left the ring. */
  failed(address: string, now: number, retryAfter?: number): void {
    const node = this.#byAddress.get(address)
    if (node === undefined) return
    const late = node.failures > 0 && !node.probing && now < node.retryAt
    if (late) {
      // An attempt from before the skip: one outage, reported by many, counts once.
      node.retryAt = Math.max(node.retryAt, now + (retryAfter ?? 0))
      return
    }
    const { firstSkip, longestSkip } = this.#settings
    if (node.failures === 0) this.#unhealthy += 1
    node.failures += 1
    node.retryAt = now + (retryAfter ?? Math.min(longestSkip, firstSkip * 2 ** (node.failures - 1)))
    node.probing = false
  }

  /** Reports a success: the address is healthy at once. */
  succeeded(address: string): void {
    if (this.#unhealthy === 0) return
    const node = this.#byAddress.get(address)
    if (node === undefined || node.failures === 0) return
    node.failures = 0
    node.retryAt = 0
    node.probing = false
    this.#unhealthy -= 1
  }

  health(): AddressHealth[] {
    return this.#nodes.map(({ address, failures, retryAt, probing }) =>
      failures === 0
        ? { address, state: 'healthy', failures }
        : { address, state: probing ? 'probing' : 'failed', failures, retryAt },
    )
  }

  /** The node `step` places after the one whose turn it is. */
  #at(step: number): Node {
    const node = this.#nodes[(this.#position + step) % this.#nodes.length]
    if (node === undefined) throw new Error('the ring is empty')
    return node
  }

  /** Gives that node its turn: the one behind it is next. */
  #turn(step: number): Node {
    const node = this.#at(step)
    this.#position = (this.#position + step + 1) % this.#nodes.length
    return node
  }

  /** Hands a skipped node to one caller. A caller that never reports loses it after the longest skip. */
  #probe(node: Node, now: number): string {
    node.probing = true
    node.retryAt = now + this.#settings.longestSkip
    return node.address
  }
}
