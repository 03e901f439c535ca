import { Readable } from 'node:stream'
import { Agent, request } from 'undici'
import { checked } from '../clients.ts'
import { startChild } from '../child.ts'
import { compare, type Comparison, type Contestant, contest, type Pace, type Score } from '../contest.ts'
import { median } from '../statistics.ts'
import { sampleEntry, sampleLines } from './rows.ts'
import { allStores } from './stores.ts'

/** Of its rows per second. */
const wantedBulk = 0.5
/** Of its requests per second. */
const wantedSingle = 0.3
const inFlight = 32

export interface Ready {
  readonly url: string
  readonly token: string
  readonly pid: number
}

export async function startService(url: string): Promise<Ready & AsyncDisposable> {
  const child = await startChild(new URL('service.ts', import.meta.url), url)
  return { ...(child.line as Ready), [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() }
}

/** Many rows by one request, against the database's own insert of as many by batches; each time into a new store. */
export async function measureBulk(rows: number, rounds: number): Promise<readonly Comparison[]> {
  const comparisons: Comparison[] = []
  for (const open of allStores) {
    await using stores = await open()
    const ours: number[] = []
    const bare: number[] = []
    const turns = [
      async () => ours.push(await bulk(await stores.fresh(), rows)),
      async () => bare.push(await fill(await stores.fresh(), rows)),
    ]
    for (let round = 0; round <= rounds; round++)
      for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn()
    comparisons.push(
      compare(
        `${rows.toLocaleString('en')} rows into ${stores.name}`,
        score('POST /v2/logs/bulk', ours.slice(1)),
        score('batched insert', bare.slice(1)),
        wantedBulk,
      ),
    )
  }
  return comparisons
}

const score = (name: string, rates: number[]): Score => ({
  name,
  rate: median(rates),
  rates,
  p50: Number.NaN,
  p99: Number.NaN,
  processor: Number.NaN,
})

async function bulk(url: string, rows: number): Promise<number> {
  await using service = await startService(url)
  const lines = [...sampleLines(0, rows)]
  const began = performance.now()
  const { statusCode, body } = await request(`${service.url}/v2/logs/bulk`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service.token}`, 'content-type': 'application/x-ndjson' },
    body: Readable.from(lines, { objectMode: false }),
    headersTimeout: 600_000,
  })
  const answer = (await body.json()) as { accepted: number }
  checked(statusCode === 200 && answer.accepted === rows, 'POST /v2/logs/bulk')
  return (rows / (performance.now() - began)) * 1000
}

async function fill(url: string, rows: number): Promise<number> {
  await using child = await startChild(new URL('fill.ts', import.meta.url), url, '0', String(rows))
  return (child.line as { rate: number }).rate
}

/** One entry by one request, against bare fastify that inserts it. */
export async function measureSingle(pace: Pace): Promise<readonly Comparison[]> {
  const comparisons: Comparison[] = []
  for (const open of allStores) {
    await using stores = await open()
    await using service = await startService(await stores.fresh())
    await using bare = await startChild(new URL('bare.ts', import.meta.url), await stores.fresh())
    const { url } = bare.line as { url: string }
    for (const flight of [1, inFlight]) {
      const contestants = [
        poster('POST /logs', service.url, flight, { authorization: `Bearer ${service.token}` }),
        poster('bare fastify', url, flight, {}),
      ]
      const [ours, theirs] = (await contest(contestants, flight, pace)) as [Score, Score]
      comparisons.push(
        compare(`one entry into ${stores.name}, ${flight} in flight`, ours, theirs, wantedSingle),
      )
    }
  }
  return comparisons
}

function poster(name: string, url: string, connections: number, headers: Record<string, string>): Contestant {
  const agent = new Agent({ connections })
  let number = 0
  return {
    name,
    async operate() {
      const { timestamp: _, ...entry } = sampleEntry(number++)
      const { statusCode, body } = await request(`${url}/logs`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(entry),
        dispatcher: agent,
      })
      await body.dump()
      checked(statusCode === 201, 'POST /logs')
    },
    close: () => agent.close(),
  }
}
