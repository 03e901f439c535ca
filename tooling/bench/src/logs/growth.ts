import { Agent, request } from 'undici'
import { startChild } from '../child.ts'
import { checked } from '../clients.ts'
import { quantile } from '../statistics.ts'
import { startService } from './ingest.ts'
import { datasets, perTask } from './rows.ts'
import { allStores } from './stores.ts'

/** How long one kind of question takes at one number of entries. */
export interface GrowthRow {
  readonly store: string
  readonly entries: number
  readonly what: string
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

const questions = 1000
const pageLength = 100

/** Task lists and pages by cursor, while a store grows tenfold again and again. */
export async function measureGrowth(sizes: readonly number[]): Promise<readonly GrowthRow[]> {
  const rows: GrowthRow[] = []
  for (const open of allStores) {
    await using stores = await open()
    const url = await stores.fresh()
    let stored = 0
    for (const entries of sizes) {
      await using filled = await startChild(
        new URL('fill.ts', import.meta.url),
        url,
        String(stored),
        String(entries - stored),
      )
      void filled
      stored = entries
      rows.push(...(await askAll(stores.name, url, entries)))
    }
  }
  return rows
}

/** All kinds of questions to a store with so many entries of `rows.ts`. */
export async function askAll(store: string, url: string, entries: number): Promise<readonly GrowthRow[]> {
  await using service = await startService(url)
  const agent = new Agent({ connections: 1 })
  const ask = async (path: string): Promise<Record<string, unknown>> => {
    const { statusCode, body } = await request(service.url + path, {
      headers: { authorization: `Bearer ${service.token}` },
      dispatcher: agent,
    })
    const answer = (await body.json()) as Record<string, unknown>
    checked(statusCode === 200, path)
    return answer
  }
  const rows: GrowthRow[] = []
  for (const [what, question] of Object.entries(kinds(ask, entries))) {
    for (let warm = 0; warm < 50; warm++) await question(warm)
    const times: number[] = []
    for (let count = 0; count < questions; count++) {
      const began = performance.now()
      await question(count)
      times.push(performance.now() - began)
    }
    rows.push({ store, entries, what, p50: quantile(times, 0.5), p99: quantile(times, 0.99) })
  }
  await agent.close()
  return rows
}

function kinds(
  ask: (path: string) => Promise<Record<string, unknown>>,
  entries: number,
): Record<string, (number: number) => Promise<void>> {
  const tasks = Math.floor(entries / perTask)
  const pages = (first: string): ((number: number) => Promise<void>) => {
    let cursor: unknown
    return async () => {
      const { logs, next_cursor } = await ask(
        typeof cursor === 'string' ? `${first}&cursor=${encodeURIComponent(cursor)}` : first,
      )
      checked((logs as unknown[]).length === pageLength || next_cursor === null, first)
      cursor = next_cursor
    }
  }
  return {
    'task list': async (number) => {
      const task = (number * 7919) % tasks
      const { logs } = await ask(`/datasets/dataset${task % datasets}/tasks/task${task}/logs`)
      checked((logs as unknown[]).length === perTask, 'task list')
    },
    'page of a dataset': pages(`/v2/logs?dataset_id=dataset3&limit=${pageLength}`),
    'page of all': pages(`/v2/logs?limit=${pageLength}`),
  }
}
