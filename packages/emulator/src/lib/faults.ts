export type FaultKind = 'refuse' | 'hang' | 'reset' | 'truncate' | 'status' | 'delay' | 'throttle' | 'garbage'
export type FaultMoment = 'connect' | 'beforeHead' | 'afterHead' | 'body'

/** Something that goes wrong. See the README for what each kind does at each moment. */
export interface Fault {
  /** The node, counted from 1, or `all` (the default). */
  readonly node?: number | 'all'
  /** Default `primary`. */
  readonly cluster?: 'primary' | 'replica'
  readonly kind: FaultKind
  /** Default: `connect` for `refuse`, `body` for `truncate` and `throttle`, else `beforeHead`. */
  readonly when?: FaultMoment
  /** With `body`: after so many bytes of the request's body (PUT, POST) or the answer's (others, and the download of logs). Default 0. */
  readonly afterBytes?: number
  /** The status of `status`. Default 503. */
  readonly status?: number
  /** Seconds: `Retry-After` of `status`. */
  readonly retryAfter?: number
  /** Milliseconds: the length of `delay`. Default 1,000. */
  readonly ms?: number
  /** The rate of `throttle`. Default 65,536. */
  readonly bytesPerSecond?: number
  /** Only requests with this method. */
  readonly method?: string
  /** Only requests whose path (as sent, without the query) begins so. */
  readonly path?: string
  /** How many connections or requests it hits before it goes away. Default null: all of them. */
  readonly count?: number | null
}

/** A fault as it is in force: everything filled in. */
export interface ActiveFault extends Required<Omit<Fault, 'retryAfter' | 'method' | 'path'>> {
  readonly id: number
  readonly retryAfter: number | undefined
  readonly method: string | undefined
  readonly path: string | undefined
  count: number | null
}

const moments: Readonly<Record<FaultKind, readonly FaultMoment[]>> = {
  // The first is the default.
  refuse: ['connect'],
  hang: ['beforeHead', 'connect', 'afterHead', 'body'],
  reset: ['beforeHead', 'connect', 'afterHead', 'body'],
  truncate: ['body', 'connect', 'beforeHead', 'afterHead'],
  status: ['beforeHead', 'body'],
  delay: ['beforeHead', 'connect', 'afterHead', 'body'],
  throttle: ['body'],
  garbage: ['beforeHead', 'connect', 'afterHead', 'body'],
}

const fields = [
  'node',
  'cluster',
  'kind',
  'when',
  'afterBytes',
  'status',
  'retryAfter',
  'ms',
  'bytesPerSecond',
  'method',
  'path',
  'count',
]

/** The faults in force. `changed` is called whenever the set of them changes. */
export class FaultTable {
  readonly #faults = new Map<number, ActiveFault>()
  readonly #changed: () => void
  readonly #nodes: number
  #last = 0

  constructor(nodes: number, changed: () => void) {
    this.#nodes = nodes
    this.#changed = changed
  }

  /**
   * @throws {TypeError} for a field of a wrong type or an unknown one.
   * @throws {RangeError} for a value out of range, or fields that make no sense together.
   */
  add(fault: Fault): { id: number } {
    const active = checked(fault, this.#nodes, ++this.#last)
    this.#faults.set(active.id, active)
    this.#changed()
    return { id: active.id }
  }

  /** @returns Whether there was such a fault. */
  remove(id: number): boolean {
    const removed = this.#faults.delete(id)
    if (removed) this.#changed()
    return removed
  }

  clear(): void {
    this.#faults.clear()
    this.#changed()
  }

  list(): ActiveFault[] {
    return [...this.#faults.values()]
  }

  get none(): boolean {
    return this.#faults.size === 0
  }

  /** Whether a node's listeners are closed. */
  refuses(cluster: string, node: number): boolean {
    return this.list().some((fault) => fault.kind === 'refuse' && applies(fault, cluster, node))
  }

  /** The fault that hits a new connection; it is counted. */
  onConnection(cluster: string, node: number): ActiveFault | undefined {
    return this.#take(
      (fault) => fault.when === 'connect' && fault.kind !== 'refuse' && applies(fault, cluster, node),
    )
  }

  /** The fault that hits a request; it is counted. */
  onRequest(cluster: string, node: number, method: string, url: string): ActiveFault | undefined {
    return this.#take(
      (fault) =>
        fault.when !== 'connect' &&
        applies(fault, cluster, node) &&
        (fault.method === undefined || fault.method === method) &&
        (fault.path === undefined || url.startsWith(fault.path)),
    )
  }

  #take(hits: (fault: ActiveFault) => boolean): ActiveFault | undefined {
    if (this.#faults.size === 0) return undefined
    for (const fault of this.#faults.values()) {
      if (!hits(fault)) continue
      if (fault.count !== null && --fault.count === 0) this.remove(fault.id)
      return fault
    }
    return undefined
  }
}

function applies(fault: ActiveFault, cluster: string, node: number): boolean {
  return fault.cluster === cluster && (fault.node === 'all' || fault.node === node)
}

function checked(fault: Fault, nodes: number, id: number): ActiveFault {
  if (typeof fault !== 'object' || fault === null) throw new TypeError('a fault is an object')
  for (const field of Object.keys(fault)) {
    if (!fields.includes(field)) throw new TypeError(`unknown field of a fault: ${field}`)
  }
  const { kind, cluster = 'primary', node = 'all', afterBytes = 0, status = 503, ms = 1_000 } = fault
  const { bytesPerSecond = 65_536, count = null, retryAfter, method, path } = fault
  const allowed = Object.hasOwn(moments, kind) ? moments[kind] : undefined
  if (allowed === undefined) throw new RangeError(`kind must be one of ${Object.keys(moments).join(', ')}`)
  const when = fault.when ?? allowed[0]!
  if (!allowed.includes(when)) throw new RangeError(`when of ${kind} must be one of ${allowed.join(', ')}`)
  if (cluster !== 'primary' && cluster !== 'replica')
    throw new RangeError('cluster must be primary or replica')
  if (node !== 'all') integer('node', node, 1, nodes)
  integer('afterBytes', afterBytes, 0)
  if (afterBytes > 0 && when !== 'body') throw new RangeError('afterBytes goes with when: body')
  integer('status', status, 200, 599)
  integer('ms', ms, 0, 2 ** 31 - 1)
  integer('bytesPerSecond', bytesPerSecond, 1)
  if (retryAfter !== undefined) integer('retryAfter', retryAfter, 0)
  if (count !== null) {
    integer('count', count, 1)
    if (kind === 'refuse') throw new RangeError('refuse has no count: nobody sees the connections that fail')
  }
  for (const [name, value] of [
    ['method', method],
    ['path', path],
  ] as const) {
    if (value === undefined) continue
    if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
    if (when === 'connect') throw new RangeError(`${name} does not go with when: connect`)
  }
  return {
    id,
    kind,
    when,
    cluster,
    node,
    afterBytes,
    status,
    ms,
    bytesPerSecond,
    count,
    retryAfter,
    method: method?.toUpperCase(),
    path,
  }
}

function integer(name: string, value: unknown, minimum: number, maximum = Number.MAX_SAFE_INTEGER): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${name} must be a whole number from ${minimum} to ${maximum}`)
  }
}
