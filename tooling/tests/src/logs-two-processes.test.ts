import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmulator } from '@hcp/emulator'
import { LogsApiError, LogsClient } from '@hcp/logs-api/client'
import { startPostgres } from '@hcp/postgres'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { startLogsService } from './logs-process.ts'

// Two processes share one PostgreSQL and are written to at once; one is killed in the middle of it.

test(
  'of two services on one PostgreSQL one is killed under load: no acknowledged entry is lost or doubled, and no export runs twice',
  { timeout: 120_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'logs-two-'))
    await using hcp = await startEmulator({ nodes: 2 })
    hcp.seedLogs({ bytes: 3_000_000 })
    await using postgres = await startPostgres()
    const database = await postgres.database()
    const parameters = { database, folder, mapi: hcp.ports.mapi, dns: hcp.dns, ca: hcp.ca }
    const doomed = await startLogsService(parameters)
    {
      await using survivor = await startLogsService(parameters)
      const client = (url: string, token = doomed.tokens['admin'] as string): LogsClient =>
        new LogsClient(url, { token, retry: { attempts: 1 } })
      await using first = client(doomed.url)
      await using second = client(survivor.url)

      const acknowledged = new Set<string>()
      const unclear = new Set<string>()
      let counter = 0
      let killed = false
      const enough = (): boolean => killed && counter > 3000
      const single = async (logs: LogsClient): Promise<void> => {
        while (!enough()) {
          const data = `single ${counter++}`
          try {
            await logs.entries.addTo('two', { task_id: 'single', data })
            acknowledged.add(data)
          } catch (error) {
            expect(error).toBeInstanceOf(LogsApiError)
            unclear.add(data)
            if (killed && logs === first) return
          }
        }
      }
      const bulk = async (logs: LogsClient): Promise<void> => {
        while (!enough()) {
          const lines = Array.from({ length: 50 }, () => `bulk ${counter++}`)
          try {
            const { accepted } = await logs.bulk(
              lines.map((data) => ({ dataset_id: 'two', task_id: 'bulk', data })),
            )
            expect(accepted).toBe(lines.length)
            for (const line of lines) acknowledged.add(line)
          } catch (error) {
            expect(error).toBeInstanceOf(LogsApiError)
            for (const line of lines) unclear.add(line)
            if (killed && logs === first) return
          }
        }
      }
      const exported = async (logs: LogsClient, number: number): Promise<string> => {
        const task = await logs.exports.start('p-one', 'srv-01', {
          startDate: `2026-11-0${number}`,
          endDate: `2026-11-0${number}`,
        })
        return task.exportId
      }
      const exports = await Promise.all([1, 2, 3, 4].map((n) => exported(n % 2 === 0 ? first : second, n)))
      const writers = [first, first, second, second].flatMap((logs) => [single(logs), bulk(logs)])

      while (acknowledged.size < 1000) await new Promise((resolve) => setImmediate(resolve))
      await doomed.kill()
      killed = true
      await Promise.all(writers)

      const stored: string[] = []
      for await (const { data } of second.search({ dataset: 'two', limit: 1000 })) stored.push(data)
      const times = new Map<string, number>()
      for (const data of stored) times.set(data, (times.get(data) ?? 0) + 1)
      expect([...times].filter(([, count]) => count > 1)).toEqual([])
      expect([...acknowledged].filter((data) => !times.has(data))).toEqual([])
      expect(stored.filter((data) => !acknowledged.has(data) && !unclear.has(data))).toEqual([])

      for (const exportId of exports) {
        const task = await second.exports.waitFor(
          { project: 'p-one', server: 'srv-01', exportId },
          { interval: 100, deadline: 60_000 },
        )
        expect(task).toMatchObject({ status: 'completed' })
      }
      // Four times other days, so four packages; the one that the killed process had in hand may have been ordered once more.
      const prepares = hcp.requests().filter(({ path }) => path.startsWith('/mapi/logs/prepare'))
      expect(prepares.length).toBeGreaterThanOrEqual(4)
      expect(prepares.length).toBeLessThanOrEqual(5)

      const ask = new Client({ connectionString: database })
      await ask.connect()
      const leaders = await ask.query<{ holder: string }>(
        "select holder from leases where name = 'leader' and until > extract(epoch from now()) * 1e6",
      )
      await ask.end()
      expect(leaders.rows.length).toBe(1)
      // What the operation logs tell is what happened.
      const operations: (string | null)[] = []
      for await (const { operation_type, status } of second.operations.search({
        operationType: 'log_export',
      })) {
        expect(operation_type).toBe('log_export')
        operations.push(status)
      }
      expect(operations).toEqual(['success', 'success', 'success', 'success'])
    }
    await rm(folder, { recursive: true })
  },
)
