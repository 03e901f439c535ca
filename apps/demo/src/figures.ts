import type { RequestRecord } from '@hcp/emulator'

/** A part of the demonstration: what HCP served meanwhile, and how long the operations took. */
export class Phase {
  readonly name: string
  readonly #nodes = new Map<number, { requests: number; bytes: number }>()
  readonly #times: number[] = []

  constructor(name: string) {
    this.name = name
  }

  /** Counts requests that were answered. */
  served(records: readonly RequestRecord[]): void {
    for (const { node, bytes, status } of records) {
      if (status === 0) continue
      const { requests, bytes: before } = this.servedBy(node)
      this.#nodes.set(node, { requests: requests + 1, bytes: before + bytes })
    }
  }

  /** Measures an operation. */
  async timed<Result>(operation: () => Promise<Result>): Promise<Result> {
    const began = performance.now()
    const result = await operation()
    this.#times.push(performance.now() - began)
    return result
  }

  /** @param node Counted from 1. */
  servedBy(node: number): { readonly requests: number; readonly bytes: number } {
    return this.#nodes.get(node) ?? { requests: 0, bytes: 0 }
  }

  /** Milliseconds, from the shortest to the longest. */
  get times(): readonly number[] {
    return this.#times.toSorted((one, other) => one - other)
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

/** Requests and bytes that each node served, median and 99th percentile of the operations' times, one line for each phase. */
export function phaseTable(phases: readonly Phase[], nodes: number): string {
  const numbers = Array.from({ length: nodes }, (_, index) => index + 1)
  const milliseconds = (value: number | undefined): string => value?.toFixed(1) ?? '-'
  return table(
    ['', ...numbers.map((node) => `node ${node}`), 'ms p50', 'p99'],
    phases.map((phase) => [
      phase.name,
      ...numbers.map((node) => {
        const { requests, bytes } = phase.servedBy(node)
        return `${requests}, ${inBytes(bytes).padStart(9)}`
      }),
      ...[50, 99].map((percent) => milliseconds(percentile(phase.times, percent))),
    ]),
  )
}

/** A number of bytes, short enough to be read. */
export function inBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
