// Lists a directory, keeps what a program would that compares names, and prints its own memory: one process, so that nothing else counts.
import { AnonymousAuthorization } from '@hcp/auth'
import { Connection, Target } from '@hcp/connection'
import { listDirectory } from '../src/lib/directory-listing.ts'
import { ObjectRequests } from '../src/lib/object-requests.ts'

const [, , port = '', count = ''] = process.argv
const connection = new Connection(
  new Target('127.0.0.1', { port: Number(port), tls: false, authorization: new AnonymousAuthorization() }),
)
const { gc } = globalThis as { gc?: () => void }
gc?.()
const before = process.memoryUsage().heapUsed
const kept: (string | undefined)[] = []
let entries = 0
for await (const entry of listDirectory(new ObjectRequests(connection), `/rest/${count}`)) {
  entries++
  if (entry.type === 'object') kept.push(entry.name, entry.etag)
}
gc?.()
const after = process.memoryUsage().heapUsed
await connection.close()
console.log(
  JSON.stringify({
    entries,
    peak: process.resourceUsage().maxRSS * 1024,
    kept: after - before,
    names: kept.length,
  }),
)
