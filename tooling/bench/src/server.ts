// The bare server, a program of its own: answers GET /…/<bytes> with that many bytes, takes in what is PUT and forgets it.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32 } from 'node:zlib'
import { content, sizes } from './content.ts'

/** What larger answers are made of, again and again. */
const piece = content(256 * 1024)

/** What an honest store says of its content, so that clients can check it; worked out once. */
const known = new Map(
  sizes.map((size) => {
    const bytes = content(size)
    const checksum = Buffer.alloc(4)
    checksum.writeUInt32BE(crc32(bytes))
    const hash = `SHA-256 ${createHash('sha256').update(bytes).digest('hex').toUpperCase()}`
    return [size, { bytes, hash, crc32: checksum.toString('base64') }]
  }),
)

const server = createServer((request, response) => {
  if (request.method === 'PUT') {
    const hash = known.get(Number(request.headers['content-length']))?.hash
    request.resume()
    request.once('end', () => {
      response.writeHead(201, { 'content-length': 0, ...(hash === undefined ? {} : { 'x-hcp-hash': hash }) })
      response.end()
    })
    return
  }
  const size = Number(/\/(\d+)(?:\?|$)/.exec(request.url ?? '')?.[1])
  const answer = known.get(size)
  if (answer !== undefined) {
    // Only the AWS SDK asks for this one.
    const checksum =
      request.headers['x-amz-checksum-mode'] === undefined ? {} : { 'x-amz-checksum-crc32': answer.crc32 }
    response.writeHead(200, { 'content-length': size, 'x-hcp-hash': answer.hash, ...checksum })
    response.end(answer.bytes)
  } else if (size >= 0) {
    response.writeHead(200, { 'content-length': size })
    send(response, size)
  } else {
    response.writeHead(404, { 'content-length': 0 }).end()
  }
})
server.keepAliveTimeout = 60_000

function send(response: ServerResponse, bytes: number): void {
  let left = bytes
  while (left > 0) {
    const next = left < piece.length ? piece.subarray(0, left) : piece
    left -= next.length
    if (!response.write(next) && left > 0) {
      const rest = left
      response.once('drain', () => send(response, rest))
      return
    }
  }
  response.end()
}

server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
