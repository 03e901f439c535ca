import type { Comparison } from './contest.ts'
import type { ListingScore } from './listing.ts'
import type { GrowthRow } from './logs/growth.ts'
import type { MemoryRow } from './logs/memory.ts'
import type { StreamComparison } from './streams.ts'

/** A heading with lines of text in columns under it. */
export function table(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index < 2 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ')
      .trimEnd()
  return [title, '', line(columns), ...rows.map(line)].join('\n')
}

const verdict = (value: number, wanted: number | undefined): string =>
  wanted === undefined ? '' : value >= wanted ? 'ok' : 'below'

const rate = (perSecond: number): string => Math.round(perSecond).toLocaleString('en')
const megabytes = (bytes: number): string => String(Math.round(bytes / 1e6))
/** Two figures, the subject's first. */
const pair = (subject: number, baseline: number, show: (value: number) => string): string =>
  `${show(subject)} / ${show(baseline)}`
const fixed =
  (digits: number) =>
  (value: number): string =>
    value.toFixed(digits)

/** Operations per second, side by side. */
export function comparisonTable(title: string, comparisons: readonly Comparison[]): string {
  return table(
    title,
    ['what', 'A / B', 'op/s', 'ratio', 'wanted', '', 'p50 ms', 'p99 ms', 'CPU us'],
    comparisons.map((comparison) => [
      ...rateCells(comparison),
      pair(comparison.subject.p50, comparison.baseline.p50, fixed(2)),
      pair(comparison.subject.p99, comparison.baseline.p99, fixed(1)),
      pair(comparison.subject.processor, comparison.baseline.processor, fixed(0)),
    ]),
  )
}

/** What is compared with what, how often each is done in a second, and whether that is enough. */
const rateCells = ({ what, subject, baseline, ratio, wanted }: Comparison): string[] => [
  what,
  `${subject.name} / ${baseline.name}`,
  pair(subject.rate, baseline.rate, rate),
  ratio.toFixed(2),
  wanted?.toFixed(2) ?? '',
  verdict(ratio, wanted),
]

/** The same of what is too short to be timed one by one. */
export function nameTable(title: string, comparisons: readonly Comparison[]): string {
  return table(
    title,
    ['what', 'A / B', 'names/s', 'ratio', 'wanted', '', 'CPU us'],
    comparisons.map((comparison) => [
      ...rateCells(comparison),
      pair(comparison.subject.processor, comparison.baseline.processor, fixed(2)),
    ]),
  )
}

/** Bytes per second side by side, and the growth of memory against its limit. */
export function streamTable(title: string, comparisons: readonly StreamComparison[]): string {
  return table(
    title,
    ['what', 'A / B', 'MB/s', 'ratio', 'wanted', '', 'growth MB', 'limit', '', 'peak MB'],
    comparisons.map(({ what, subject, baseline, ratio, wanted, growthLimit }) => [
      what,
      `${subject.name} / ${baseline.name}`,
      pair(subject.bytesPerSecond, baseline.bytesPerSecond, (value) => rate(value / 1e6)),
      ratio.toFixed(2),
      wanted.toFixed(2),
      verdict(ratio, wanted),
      pair(subject.memoryGrowth, baseline.memoryGrowth, megabytes),
      megabytes(growthLimit),
      subject.memoryGrowth <= growthLimit ? 'ok' : 'above',
      pair(subject.memoryPeak, baseline.memoryPeak, megabytes),
    ]),
  )
}

/** How soon entries come, and what the process needs for them. */
export function listingTable(title: string, score: ListingScore): string {
  return table(
    title,
    ['what', '', 'entries/s', 'first ms', 'all ms', 'growth MB', 'peak MB', 'limit', ''],
    [
      [
        `list ${score.entries.toLocaleString('en')} entries`,
        '',
        rate((score.entries / score.all) * 1000),
        score.first.toFixed(0),
        score.all.toFixed(0),
        megabytes(score.memoryGrowth),
        megabytes(score.memoryPeak),
        megabytes(score.peakLimit),
        score.memoryPeak <= score.peakLimit ? 'ok' : 'above',
      ],
    ],
  )
}

/** Rows or requests per second side by side. */
export function ingestTable(title: string, comparisons: readonly Comparison[]): string {
  return table(title, ['what', 'A / B', 'per second', 'ratio', 'wanted', ''], comparisons.map(rateCells))
}

/** A line for each kind of question, a column for each size. */
export function growthTable(title: string, rows: readonly GrowthRow[]): string {
  const sizes = [...new Set(rows.map(({ entries }) => entries))]
  const kinds = [...new Map(rows.map(({ store, what }) => [`${store} ${what}`, { store, what }])).values()]
  return table(
    title,
    ['what', 'store', ...sizes.map((size) => `${size.toLocaleString('en')} p50 / p99 ms`)],
    kinds.map(({ store, what }) => [
      what,
      store,
      ...sizes.map((size) => {
        const row = rows.find((row) => row.store === store && row.what === what && row.entries === size)
        return row === undefined ? '' : pair(row.p50, row.p99, fixed(1))
      }),
    ]),
  )
}

/** What the service needs while much passes through it. */
export function memoryTable(title: string, rows: readonly MemoryRow[]): string {
  return table(
    title,
    ['what', '', 'MB', 'MB/s', 'before MB', 'peak MB'],
    rows.map(({ what, bytes, seconds, before, peak }) => [
      what,
      '',
      megabytes(bytes),
      rate(bytes / seconds / 1e6),
      megabytes(before),
      megabytes(peak),
    ]),
  )
}
