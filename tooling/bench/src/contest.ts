import { performance } from 'node:perf_hooks'
import { median, quantile, ratioOfRounds } from './statistics.ts'

export interface Contestant {
  readonly name: string
  /** One operation, from its start until its result is all there. Throws if the result is not what it has to be. */
  operate(): Promise<void>
  close(): Promise<void>
}

export interface Pace {
  /** Rounds that count; one more before them does not. */
  readonly rounds: number
  /** Length of each contestant's turn in a round. */
  readonly seconds: number
}

/** How a contestant did. */
export interface Score {
  readonly name: string
  /** Operations per second, median of the rounds. */
  readonly rate: number
  /** The same for each round. */
  readonly rates: readonly number[]
  /** Latency of one operation over all rounds, milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Processor time of the client's process for one operation, median of the rounds, microseconds. */
  readonly processor: number
}

interface Tally {
  readonly rates: number[]
  readonly latencies: number[]
  readonly processor: number[]
}

/**
 * Lets all contestants do the same in turns, `inFlight` operations at a time each, in opposite order from round to round, and
 * closes them.
 */
export async function contest(
  contestants: readonly Contestant[],
  inFlight: number,
  { rounds, seconds }: Pace,
): Promise<readonly Score[]> {
  const tallies = contestants.map((): Tally => ({ rates: [], latencies: [], processor: [] }))
  try {
    for (const contestant of contestants) {
      await turn(contestant, inFlight, seconds, { rates: [], latencies: [], processor: [] })
    }
    for (let round = 0; round < rounds; round++) {
      const order = [...contestants.keys()]
      if (round % 2 === 1) order.reverse()
      for (const index of order) {
        await turn(contestants[index] as Contestant, inFlight, seconds, tallies[index] as Tally)
      }
    }
  } finally {
    for (const contestant of contestants) await contestant.close()
  }
  return tallies.map(({ rates, latencies, processor }, index) => ({
    name: (contestants[index] as Contestant).name,
    rate: median(rates),
    rates,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    processor: median(processor),
  }))
}

async function turn(
  contestant: Contestant,
  inFlight: number,
  seconds: number,
  { rates, latencies, processor }: Tally,
): Promise<void> {
  const before = latencies.length
  const usedBefore = process.cpuUsage()
  const began = performance.now()
  const end = began + seconds * 1000
  const worker = async (): Promise<void> => {
    let start = performance.now()
    while (start < end) {
      await contestant.operate()
      const done = performance.now()
      latencies.push(done - start)
      start = done
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  const elapsed = (performance.now() - began) / 1000
  const used = process.cpuUsage(usedBefore)
  const operations = latencies.length - before
  rates.push(operations / elapsed)
  processor.push((used.user + used.system) / operations)
}

/** What is compared: a subject's score beside a baseline's, with the ratio wanted if one is. */
export interface Comparison {
  readonly what: string
  readonly subject: Score
  readonly baseline: Score
  readonly ratio: number
  readonly wanted: number | undefined
}

export const compare = (what: string, subject: Score, baseline: Score, wanted?: number): Comparison => ({
  what,
  subject,
  baseline,
  ratio: ratioOfRounds(subject.rates, baseline.rates),
  wanted,
})
