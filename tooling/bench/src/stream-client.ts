// One client that streams once, a program of its own: so its memory is that of the stream and of nothing before it.
import { performance } from 'node:perf_hooks'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Connection } from '@hcp/connection'
import { Pool } from 'undici'
import { authorizationHeaders, checked, targetAt } from './clients.ts'
import { content, kibibyte } from './content.ts'
import type { StreamOrder, StreamResult } from './streams.ts'

const order = JSON.parse(process.argv[2] ?? '') as StreamOrder
const piece = content(64 * kibibyte)

function* pieces(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= piece.length)
    yield left < piece.length ? piece.subarray(0, left) : piece
}

const bodyOf = (size: number): Readable | Iterable<Buffer> =>
  order.body === 'generator' ? pieces(size) : Readable.from(pieces(size), { objectMode: false })

async function swallow(stream: Readable, size: number): Promise<void> {
  let received = 0
  const sink = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      received += chunk.length
      callback()
    },
  })
  await pipeline(stream, sink)
  checked(received === size, `GET of ${size} bytes`)
}

interface Streamer extends AsyncDisposable {
  up(size: number): Promise<void>
  down(size: number): Promise<void>
}

function connectionStreamer(): Streamer {
  const target = targetAt(order.port)
  const connection = new Connection(target, { connections: 1 })
  return {
    async up(size) {
      const response = await connection.put('/rest/stream', bodyOf(size), { size })
      checked(response.status === 201, 'PUT')
    },
    async down(size) {
      const response = await connection.get(`/rest/${size}`)
      checked(response.status === 200, 'GET')
      await swallow(response.body, size)
    },
    async [Symbol.asyncDispose]() {
      await connection.close()
      target.close()
    },
  }
}

function undiciStreamer(): Streamer {
  const pool = new Pool(`http://127.0.0.1:${order.port}`, { connections: 1 })
  return {
    async up(size) {
      const headers = { ...authorizationHeaders, 'content-length': String(size) }
      const { statusCode, body } = await pool.request({
        method: 'PUT',
        path: '/rest/stream',
        headers,
        // undici takes iterables as well; its types do not say so.
        body: bodyOf(size) as Readable,
      })
      await body.dump()
      checked(statusCode === 201, 'PUT')
    },
    async down(size) {
      const { statusCode, body } = await pool.request({
        method: 'GET',
        path: `/rest/${size}`,
        headers: authorizationHeaders,
      })
      checked(statusCode === 200, 'GET')
      await swallow(body, size)
    },
    [Symbol.asyncDispose]: () => pool.close(),
  }
}

await using streamer = order.client === 'Connection' ? connectionStreamer() : undiciStreamer()
// Everything is loaded and the socket open before memory and time are looked at.
await streamer.down(kibibyte)
const before = process.memoryUsage.rss()
let highest = before
const sampling = setInterval(() => {
  highest = Math.max(highest, process.memoryUsage.rss())
}, 20)
const began = performance.now()
await streamer[order.direction](order.size)
const seconds = (performance.now() - began) / 1000
clearInterval(sampling)
const result: StreamResult = {
  bytesPerSecond: order.size / seconds,
  memoryGrowth: Math.max(highest, process.memoryUsage.rss()) - before,
  memoryPeak: process.resourceUsage().maxRSS * 1024,
}
console.log(JSON.stringify(result))
