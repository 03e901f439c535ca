// Streams a body of the given size up and down and prints its own peak memory: one process, so that nothing else counts.
import { AnonymousAuthorization } from '@hcp/auth'
import { Connection, Target } from '../src/index.ts'

const [, , port = '', megabytes = ''] = process.argv
const size = Number(megabytes) * 1024 * 1024
const target = new Target('127.0.0.1', {
  port: Number(port),
  tls: false,
  authorization: new AnonymousAuthorization(),
})
const connection = new Connection(target)

async function* content(): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(256 * 1024, 'x')
  for (let sent = 0; sent < size; sent += piece.length) yield piece
}

const stored = await connection.put('/rest/large', content(), { size })
const response = await connection.get(`/rest/${size}`)
let received = 0
for await (const piece of response.body) received += (piece as Buffer).length
await connection.close()
console.log(JSON.stringify({ status: stored.status, received, peak: process.resourceUsage().maxRSS * 1024 }))
