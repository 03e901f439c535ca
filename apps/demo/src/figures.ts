import type { HcpResponse } from '@hcp/connection'

/** What an answer tells about how it came about. */
export type Served = Pick<HcpResponse, 'address' | 'attempts' | 'settled' | 'timing'>

/** The requests of one phase. */
export class PhaseFigures {
  readonly name: string
  readonly #nodes = new Map<string, { requests: number; bytes: number }>()
  readonly #connect: number[] = []
  readonly #firstByte: number[] = []
  readonly #total: number[] = []
  /** Requests that were sent more than once. */
  repeated = 0
  /** Of these, PUTs whose answer was lost and that a HEAD proved to have been carried out. */
  settled = 0

  constructor(name: string) {
    this.name = name
  }

  get requests(): number {
    return this.#total.length
  }

  /**
   * Counts a request that is done.
   *
   * @param bytes Content that was sent or received with it.
   */
  add({ address, attempts, settled, timing }: Served, bytes: number): void {
    const node = this.#nodes.get(address) ?? { requests: 0, bytes: 0 }
    this.#nodes.set(address, { requests: node.requests + 1, bytes: node.bytes + bytes })
    if (attempts > 1) this.repeated += 1
    if (settled) this.settled += 1
    if (timing.connect > 0) this.#connect.push(timing.connect + timing.tls)
    this.#firstByte.push(timing.firstByte)
    this.#total.push(timing.total)
  }

  servedBy(address: string): { requests: number; bytes: number } {
    return this.#nodes.get(address) ?? { requests: 0, bytes: 0 }
  }

  /** Milliseconds, each list from the shortest to the longest. `connect` is TCP and TLS, where a connection was opened. */
  get times(): { connect: readonly number[]; firstByte: readonly number[]; total: readonly number[] } {
    const sorted = (values: readonly number[]): number[] => values.toSorted((one, other) => one - other)
    return { connect: sorted(this.#connect), firstByte: sorted(this.#firstByte), total: sorted(this.#total) }
  }
}

/** The value that `percent` of all do not exceed (nearest rank); `undefined` of nothing. */
export function percentile(sorted: readonly number[], percent: number): number | undefined {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
}

/** Columns below each other: the first to the left, the others to the right, a line below the heads. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
  const rule = widths.map((width) => '-'.repeat(width))
  return [heads, rule, ...rows].map((cells) => `  ${line(cells)}\n`).join('')
}

/** Requests and bytes that each node served, one line for each phase. */
export function nodeTable(phases: readonly PhaseFigures[], nodes: readonly string[]): string {
  return table(
    ['', ...nodes],
    phases.map((phase) => [
      phase.name,
      ...nodes.map((address) => {
        const { requests, bytes } = phase.servedBy(address)
        return `${requests}, ${inBytes(bytes).padStart(8)}`
      }),
    ]),
  )
}

/** Median and 99th percentile of the times, one line for each phase. */
export function timeTable(phases: readonly PhaseFigures[]): string {
  const milliseconds = (value: number | undefined): string => value?.toFixed(1) ?? '-'
  const heads = ['connect', 'first byte', 'total'].flatMap((what) => [`${what} p50`, 'p99'])
  return table(
    ['', 'requests', ...heads],
    phases.map((phase) => {
      const { connect, firstByte, total } = phase.times
      const times = [connect, firstByte, total].flatMap((values) =>
        [50, 99].map((percent) => milliseconds(percentile(values, percent))),
      )
      return [phase.name, String(phase.requests), ...times]
    }),
  )
}

/** A number of bytes, short enough to be read. */
export function inBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
