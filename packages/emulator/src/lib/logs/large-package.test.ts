import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Emulator, ReadyLine } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { ask as askData, credentials } from '../wire.testing.ts'
import { ask, download, everything, linesOf, prepared, unpack } from './logs.testing.ts'
import type { Files } from './logs.testing.ts'

const mebibyte = 1024 ** 2
const form = /^(\S+) - (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+|-) (\S+) (\d+)$/

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 2, choices: { logPreparationMs: 0 } })
})
afterAll(() => hcp.close())

async function packageOf(range: string = everything): Promise<{ body: Buffer; files: Files }> {
  await ask(hcp, { method: 'POST', path: '?cancel' })
  await prepared(hcp, range)
  const { body } = await download(hcp)
  return { body, files: (await unpack(body)).files }
}

const timesOf = (files: Files, node: string): string[] =>
  [...files.keys()].flatMap(
    (name) => new RegExp(`^${node}.*access-logs-([\\d-]+)\\.tar\\.gz$`).exec(name)?.[1] ?? [],
  )

test('a history that was invented has the size and the days that were asked for, and real lines beside it', async () => {
  await askData(hcp, { path: '/rest/real' })
  hcp.seedLogs({ bytes: 4 * mebibyte, days: 3 })
  const { body, files } = await packageOf()
  expect(body.length / (4 * mebibyte)).toBeCloseTo(1, 1)
  for (const node of ['101', '102']) {
    const times = timesOf(files, node)
    expect(times).toEqual([...new Set(times)].toSorted())
    expect(new Set(times.map((time) => time.slice(0, 8))).size).toBeGreaterThanOrEqual(3)
  }
  const lines = linesOf(files, 'http_gateway_request.log')
  expect(lines.filter((line) => !form.test(line))).toEqual([])
  expect(lines.filter((line) => line.includes('"GET /rest/real HTTP/1.1" 404')).length).toBe(1)
  // Those of two nodes are different.
  const [one, other] = ['101', '102'].map((node) => new Set(linesOf(files, 'http_gateway_request.log', node)))
  expect([...one!].filter((line) => other!.has(line))).toEqual([])
})

test('each line is of the time that its archive is named by', async () => {
  hcp.seedLogs({ bytes: mebibyte, days: 2 })
  const { files } = await packageOf()
  for (const [name, content] of files) {
    const time = /\/(\d{8}-\d{4})\/http_gateway_request\.log\.0$/.exec(name)?.[1]
    if (time === undefined) continue
    const times = content
      .toString('latin1')
      .split('\n')
      .slice(0, -1)
      .map((line) => timeOf(line))
    expect(times).toEqual(times.toSorted())
    expect(times[0]!.slice(0, time.length) >= time, name).toBe(true)
  }
})

/** `20210503-0814:55`, for comparing. */
function timeOf(line: string): string {
  const [, day, month, year, hour, minute, second] = /\[(\d+)\/(\w+)\/(\d+):(\d+):(\d+):(\d+) /.exec(line)!
  const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
  const number = String(months.indexOf(month!) + 1).padStart(2, '0')
  return `${year}${number}${day}-${hour}${minute}:${second}`
}

test('a range of days is a part of it', async () => {
  hcp.seedLogs({ bytes: 4 * mebibyte, days: 4 })
  const whole = await packageOf()
  const [today] = new Date().toISOString().split('T')
  const before = new Date(Date.parse(today!) - 2 * 86_400_000).toISOString().slice(0, 10)
  const [year, month, day] = before.split('-')
  const date = `${month}/${day}/${year}`
  const part = await packageOf(
    `<logPrepare><startDate>${date}</startDate><endDate>${date}</endDate></logPrepare>`,
  )
  expect(part.body.length).toBeLessThan(whole.body.length / 2)
  expect(new Set(timesOf(part.files, '101').map((time) => time.slice(0, 8)))).toEqual(
    new Set([before.replaceAll('-', '')]),
  )
})

test('it replaces the one before, and 0 bytes are none', async () => {
  hcp.seedLogs({ bytes: 8 * mebibyte })
  hcp.seedLogs({ bytes: 0 })
  expect((await packageOf()).body.length).toBeLessThan(mebibyte)
})

test.each<[object, RegExp]>([
  [{}, /bytes: must be a number/],
  [{ bytes: '1' }, /bytes: must be a number/],
  [{ bytes: -1 }, /bytes: must be a whole number/],
  [{ bytes: 1.5 }, /bytes: must be a whole number/],
  [{ bytes: 1, days: 0 }, /days: must be a whole number/],
  [{ bytes: 1, days: 366 }, /days: must be a whole number/],
  [{ bytes: 2 ** 43, days: 1 }, /give more days/],
  [{ bytes: 1, size: 1 }, /size: unknown field/],
  [{ bytes: 1, cluster: 'replica' }, /there is no replica/],
])('%j is refused', (seed, message) => {
  expect(() => hcp.seedLogs(seed as { bytes: number })).toThrow(message)
})

// HCP_LOGS_BYTES=1073741824 makes the package as large as real ones.
const large = Number(process.env['HCP_LOGS_BYTES'] ?? 256 * mebibyte)

test.runIf(process.platform === 'linux')(
  'a large package streams in little memory, twice the same',
  { timeout: 180_000 },
  async () => {
    const cli = new URL('../../cli.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [cli, '--nodes', '4', '--quiet'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const { ports, caFile } = JSON.parse(line) as ReadyLine
    const dispatcher = new Agent({ connect: { ca: await readFile(caFile), servername: 'admin.hcp1.test' } })
    try {
      const peak = async (): Promise<number> => {
        const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
        return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]) / 1024
      }
      const send = async (
        method: 'GET' | 'POST',
        path: string,
        body?: string,
      ): Promise<Awaited<ReturnType<typeof request>>> =>
        request(`https://127.0.0.1:${ports.mapi}/mapi/logs${path}`, {
          method,
          body: body ?? null,
          dispatcher,
          headers: {
            host: 'admin.hcp1.test',
            authorization: credentials('sysadmin', 's01'),
            ...(body === undefined ? {} : { 'content-type': 'application/xml' }),
          },
        })
      const fetched = async (): Promise<{ size: number; digest: string }> => {
        const digest = createHash('sha1')
        let size = 0
        const { body } = await send('POST', '/download', '<logDownload/>')
        for await (const chunk of body) {
          size += (chunk as Buffer).length
          digest.update(chunk as Buffer)
        }
        return { size, digest: digest.digest('hex') }
      }
      const ready = async (bytes: number): Promise<void> => {
        const seeded = await request(`http://127.0.0.1:${ports.control}/logs/seed`, {
          method: 'POST',
          body: JSON.stringify({ bytes }),
        })
        expect(seeded.statusCode).toBe(201)
        await (await send('POST', '?cancel')).body.dump()
        await (await send('POST', '/prepare', everything)).body.dump()
        while (!(await (await send('GET', '')).body.text()).includes('<readyForStreaming>true'));
      }
      // What a package costs, whatever its size, is not what this is about.
      await ready(16 * mebibyte)
      await fetched()
      const before = await peak()
      await ready(large)
      const first = await fetched()
      expect(first.size / large).toBeCloseTo(1, 1)
      expect(await fetched()).toEqual(first)
      expect((await peak()) - before).toBeLessThan(100)
    } finally {
      await dispatcher.destroy()
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  },
)
