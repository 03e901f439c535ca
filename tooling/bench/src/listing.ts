import { request } from 'undici'
import { startChild } from './child.ts'
import { checked } from './clients.ts'
import { median } from './statistics.ts'

/** What one listing program is to do. */
export interface ListingOrder {
  readonly domain: string
  readonly port: number
  readonly entries: number
}

/** What it found. Milliseconds, bytes. */
export interface ListingResult {
  /** Until the first entry was there. */
  readonly first: number
  /** Until the last was. */
  readonly all: number
  readonly memoryGrowth: number
  /** The most the whole process ever had resident, with Node itself and all code. */
  readonly memoryPeak: number
}

/** All runs: times as the median, memory as the highest. */
export interface ListingScore extends ListingResult {
  readonly entries: number
  readonly peakLimit: number
  readonly runs: readonly ListingResult[]
}

const peakLimit = 200e6

/** One folder with very many objects, listed by a new process each time. */
export async function measureListing(entries: number, rounds: number): Promise<ListingScore> {
  const program = new URL('cli.ts', import.meta.resolve('@hcp/emulator'))
  await using emulator = await startChild(program, '--nodes', '1', '--quiet')
  const { domain, ports } = emulator.line as { domain: string; ports: { http: number; control: number } }
  const seeded = await request(`http://127.0.0.1:${ports.control}/seed`, {
    method: 'POST',
    body: JSON.stringify({ namespace: 'n1.m', directory: 'large', count: entries, size: 1 }),
  })
  await seeded.body.dump()
  checked(seeded.statusCode === 201, 'POST /seed')

  const runs: ListingResult[] = []
  for (let round = 0; round < rounds; round++) {
    const order: ListingOrder = { domain, port: ports.http, entries }
    await using client = await startChild(
      new URL('listing-client.ts', import.meta.url),
      JSON.stringify(order),
    )
    runs.push(client.line as ListingResult)
  }
  return {
    entries,
    peakLimit,
    first: median(runs.map((run) => run.first)),
    all: median(runs.map((run) => run.all)),
    memoryGrowth: Math.max(...runs.map((run) => run.memoryGrowth)),
    memoryPeak: Math.max(...runs.map((run) => run.memoryPeak)),
    runs,
  }
}
