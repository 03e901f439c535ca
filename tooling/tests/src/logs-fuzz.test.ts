import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { startEmulator } from '@hcp/emulator'
import { startPostgres } from '@hcp/postgres'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'
import { randomFrom } from './disturbance.ts'
import { startLogsService } from './logs-process.ts'
import { randomValue, type Schema } from './random-value.ts'

// Requests made of the service's own description, right and wrong ones, on all its routes at once: HCP_FUZZ_SECONDS says for how long.

const seconds = Number(process.env.HCP_FUZZ_SECONDS ?? 4)
const atOnce = 8
/** Milliseconds that any answer may take. */
const patience = 10_000

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly schema?: Schema
}

interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: Schema }>> }
}

interface Described {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

async function describedRoutes(url: string): Promise<Described[]> {
  const { body } = await request(`${url}/openapi.json`)
  const { paths } = (await body.json()) as { paths: Record<string, Record<string, Operation>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    })),
  )
}

/** Bytes of the heap after what could be collected has been. */
async function heap(metrics: string): Promise<number> {
  const { body } = await request(`${metrics}/metrics`)
  return Number(/^nodejs_heap_size_used_bytes (\S+)/m.exec(await body.text())?.[1])
}

test.each(['sqlite', 'postgres'] as const)(
  'whatever is sent to whatever route of the service on %s, it answers soon, never with 5xx, and does not grow',
  { timeout: (seconds + 60) * 1000 },
  async (store) => {
    const seed = Date.now() % 1_000_000
    const random = randomFrom(seed)
    const folder = await mkdtemp(join(tmpdir(), 'logs-fuzz-'))
    await using hcp = await startEmulator({ nodes: 1 })
    await using postgres = store === 'postgres' ? await startPostgres() : undefined
    const database = (await postgres?.database()) ?? `sqlite:${join(folder, 'logs.db')}`
    {
      await using service = await startLogsService({
        database,
        folder,
        mapi: hcp.ports.mapi,
        dns: hcp.dns,
        ca: hcp.ca,
      })
      const agent = new Agent({ connections: 4 * atOnce })
      const routes = await describedRoutes(service.url)
      expect(routes.length).toBeGreaterThan(30)
      const known: string[] = []
      const failures: string[] = []
      const statuses = new Map<number, number>()
      const asked = new Set<string>()

      const one = async (): Promise<void> => {
        const { method, path, operation } = routes[Math.floor(random() * routes.length)] as Described
        asked.add(`${method} ${path}`)
        const url = new URL(service.url + fillPath(path, operation.parameters ?? [], known, random))
        for (const parameter of operation.parameters ?? []) {
          if (parameter.in === 'query' && random() < 0.4)
            url.searchParams.append(parameter.name, asText(randomValue(parameter.schema ?? {}, random)))
        }
        if (random() < 0.05) url.searchParams.append(asText(randomValue({ type: 'string' }, random)), 'x')
        const headers: Record<string, string> = {}
        const names = Object.keys(service.tokens)
        const token = service.tokens[names[Math.floor(random() * (names.length + 0.3))] ?? '']
        if (token !== undefined) headers[random() < 0.8 ? 'authorization' : 'x-auth-token'] = token
        if (headers['authorization'] !== undefined) headers['authorization'] = `Bearer ${token}`
        if (method === 'POST' && random() < 0.2)
          headers['idempotency-key'] = `key${Math.floor(random() * 10)}`
        const body = randomBody(operation, headers, random)
        const what = `${method} ${url.pathname}${url.search} ${JSON.stringify({ ...headers, authorization: '', 'x-auth-token': '' })} ${String(body).slice(0, 300)}`
        try {
          const answer = await request(url, {
            method: method as 'GET',
            headers,
            ...(body === undefined ? {} : { body }),
            dispatcher: agent,
            headersTimeout: patience,
            bodyTimeout: patience,
            signal: AbortSignal.timeout(patience),
          })
          statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1)
          const streams = String(answer.headers['content-type']).startsWith('text/event-stream')
          if (streams) {
            answer.body.on('error', () => {})
            answer.body.destroy()
          } else {
            const text = await answer.body.text()
            for (const [, id] of text
              .slice(0, 5000)
              .matchAll(/"(?:result|export_id|id|log_id)": ?"([\w-]+)"/g))
              if (known.length < 1000) known.push(id as string)
            if (answer.statusCode >= 500)
              failures.push(`${answer.statusCode} ${text.slice(0, 200)} for ${what}`)
          }
        } catch (error) {
          failures.push(`${String(error)} for ${what}`)
        }
      }
      const worker = async (until: number): Promise<void> => {
        while (Date.now() < until && failures.length === 0) await one()
      }
      const run = (milliseconds: number): Promise<unknown> =>
        Promise.all(Array.from({ length: atOnce }, () => worker(Date.now() + milliseconds)))

      await run(seconds * 500)
      const before = await heap(service.metrics)
      await run(seconds * 500)
      const after = await heap(service.metrics)
      await agent.destroy()
      expect(failures, `seed ${seed}`).toEqual([])
      expect(asked.size).toBe(routes.length)
      // Of many routes, and in both ways: requests that were understood and ones that were not.
      expect(statuses.get(200) ?? 0, JSON.stringify([...statuses])).toBeGreaterThan(20)
      expect(statuses.get(400) ?? 0).toBeGreaterThan(20)
      expect(after - before, `seed ${seed}`).toBeLessThan(100e6)
    }
    await rm(folder, { recursive: true })
  },
)

function asText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.slice(0, 3000)
}

function fillPath(
  path: string,
  parameters: readonly Parameter[],
  known: readonly string[],
  random: () => number,
): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const lot = random()
    if (name === 'server') return lot < 0.7 ? 'srv-01' : 'srv-02'
    if (name === 'project') return lot < 0.7 ? 'p-one' : 'p-two'
    if (name === 'dataset_id' && lot < 0.7) return `ds${Math.floor(random() * 4)}`
    if (lot < 0.6 && known.length > 0) return known[Math.floor(random() * known.length)] as string
    const schema = parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)?.schema
    return encodeURIComponent(
      asText(randomValue(schema ?? { type: 'string' }, random))
        .slice(0, 200)
        .toWellFormed(),
    )
  })
}

function randomBody(
  { requestBody }: Operation,
  headers: Record<string, string>,
  random: () => number,
): string | Buffer | undefined {
  if (requestBody === undefined) return undefined
  const types = Object.keys(requestBody.content)
  const type = types[Math.floor(random() * types.length)] ?? 'application/json'
  if (random() < 0.9) headers['content-type'] = type
  const schema = requestBody.content[type]?.schema ?? { type: 'object' }
  const lot = random()
  if (lot < 0.05) return Buffer.from(Array.from({ length: 50 }, () => Math.floor(random() * 256)))
  if (lot < 0.08) return ''
  if (lot < 0.11) return '{"data": "cut off'
  let body = JSON.stringify(randomValue(schema, random)) ?? 'null'
  if (type.includes('ndjson'))
    body = Array.from({ length: Math.floor(random() * 20) }, () =>
      random() < 0.8
        ? JSON.stringify({ dataset_id: `ds${Math.floor(random() * 4)}`, data: `line ${random()}` })
        : JSON.stringify(randomValue({}, random)),
    ).join('\n')
  if (random() < 0.1) {
    headers['content-encoding'] = 'gzip'
    return random() < 0.7 ? gzipSync(body) : body
  }
  return body
}
