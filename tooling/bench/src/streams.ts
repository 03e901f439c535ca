import { type BareServer, startBareServer, startChild } from './child.ts'
import { sizeName } from './content.ts'
import { median, ratioOfRounds } from './statistics.ts'

/** What one streaming program is to do. */
export interface StreamOrder {
  readonly client: 'Connection' | 'undici Pool'
  readonly direction: 'up' | 'down'
  readonly body: 'stream' | 'generator'
  readonly port: number
  /** Bytes. */
  readonly size: number
}

/** What it found. */
export interface StreamResult {
  readonly bytesPerSecond: number
  /** Resident memory at its highest less what it was before the stream, bytes. */
  readonly memoryGrowth: number
  /** The most the whole process ever had resident, with Node itself and all code, bytes. */
  readonly memoryPeak: number
}

/** All runs of one client: bytes per second as the median, memory as the highest. */
export interface StreamScore extends StreamResult {
  readonly name: string
  readonly runs: readonly StreamResult[]
}

export interface StreamComparison {
  readonly what: string
  readonly subject: StreamScore
  readonly baseline: StreamScore
  readonly ratio: number
  readonly wanted: number
  /** By how many bytes the subject's memory may grow. */
  readonly growthLimit: number
}

const wanted = 0.9
const growthLimit = 150e6

/** One large object up and down, each client in a new process each time, in turns as in a contest. */
export async function measureStreams(size: number, rounds: number): Promise<readonly StreamComparison[]> {
  await using server = await startBareServer()
  const name = sizeName(size)
  return [
    await compareStreams(`PUT ${name}, Readable`, { direction: 'up', body: 'stream', size }, rounds, server),
    await compareStreams(
      `PUT ${name}, generator`,
      { direction: 'up', body: 'generator', size },
      rounds,
      server,
    ),
    await compareStreams(`GET ${name}, piped`, { direction: 'down', body: 'stream', size }, rounds, server),
  ]
}

async function compareStreams(
  what: string,
  order: Omit<StreamOrder, 'client' | 'port'>,
  rounds: number,
  { port }: BareServer,
): Promise<StreamComparison> {
  const subject: StreamResult[] = []
  const baseline: StreamResult[] = []
  for (let round = 0; round < rounds; round++) {
    const bare = async (): Promise<unknown> =>
      baseline.push(await stream({ client: 'undici Pool', port, ...order }))
    const ours = async (): Promise<unknown> =>
      subject.push(await stream({ client: 'Connection', port, ...order }))
    for (const turn of round % 2 === 0 ? [bare, ours] : [ours, bare]) await turn()
  }
  const rates = (results: readonly StreamResult[]): number[] => results.map((result) => result.bytesPerSecond)
  return {
    what,
    subject: score('Connection', subject),
    baseline: score('undici Pool', baseline),
    ratio: ratioOfRounds(rates(subject), rates(baseline)),
    wanted,
    growthLimit,
  }
}

async function stream(order: StreamOrder): Promise<StreamResult> {
  await using child = await startChild(new URL('stream-client.ts', import.meta.url), JSON.stringify(order))
  return child.line as StreamResult
}

const score = (name: string, runs: readonly StreamResult[]): StreamScore => ({
  name,
  bytesPerSecond: median(runs.map((run) => run.bytesPerSecond)),
  memoryGrowth: Math.max(...runs.map((run) => run.memoryGrowth)),
  memoryPeak: Math.max(...runs.map((run) => run.memoryPeak)),
  runs,
})
