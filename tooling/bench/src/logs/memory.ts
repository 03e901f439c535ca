import { Readable } from 'node:stream'
import { request } from 'undici'
import { checked } from '../clients.ts'
import { startService } from './ingest.ts'
import { readFile } from 'node:fs/promises'
import { sampleLines } from './rows.ts'
import { allStores } from './stores.ts'

/** Resident memory of the service while bytes pass through it. */
export interface MemoryRow {
  readonly what: string
  readonly bytes: number
  readonly seconds: number
  /** Bytes: before, and at most. */
  readonly before: number
  readonly peak: number
}

/** Streams about as many bytes of lines into the service, then all of them out of it. */
export async function measureMemory(
  bytes: number,
  openStores: typeof allStores = allStores,
): Promise<readonly MemoryRow[]> {
  const rows: MemoryRow[] = []
  for (const open of openStores) {
    await using stores = await open()
    await using service = await startService(await stores.fresh())
    const authorization = `Bearer ${service.token}`
    const lineLength = [...sampleLines(0, 500)].reduce((sum, { length }) => sum + length, 0) / 500
    const count = Math.floor(bytes / lineLength)

    rows.push(
      await watched(`${stores.name}: POST /v2/logs/bulk`, service.pid, async () => {
        let sent = 0
        const counted = function* () {
          for (const piece of sampleLines(0, count)) {
            sent += piece.length
            yield piece
          }
        }
        const { statusCode, body } = await request(`${service.url}/v2/logs/bulk`, {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/x-ndjson' },
          body: Readable.from(counted(), { objectMode: false }),
          headersTimeout: 3_600_000,
        })
        const answer = (await body.json()) as { accepted: number }
        checked(statusCode === 200 && answer.accepted === count, 'bulk')
        return sent
      }),
    )
    rows.push(
      await watched(`${stores.name}: GET /logs`, service.pid, async () => {
        const { statusCode, body } = await request(`${service.url}/logs`, {
          headers: { authorization },
          bodyTimeout: 3_600_000,
        })
        checked(statusCode === 200, 'GET /logs')
        let received = 0
        for await (const piece of body) received += (piece as Buffer).length
        return received
      }),
    )
  }
  return rows
}

async function watched(what: string, pid: number, work: () => Promise<number>): Promise<MemoryRow> {
  const before = await resident(pid)
  let peak = before
  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = resident(pid).then((now) => void (peak = Math.max(peak, now)))
  }, 50)
  const began = performance.now()
  try {
    const bytes = await work()
    return { what, bytes, seconds: (performance.now() - began) / 1000, before, peak }
  } finally {
    clearInterval(timer)
    await looking
  }
}

/** Linux only: elsewhere nothing is known of another process without a program. */
async function resident(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
}
