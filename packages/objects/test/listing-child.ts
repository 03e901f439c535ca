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
if (gc === undefined) throw new Error('start it with --expose-gc')
/** What cannot be collected, bytes. */
const retained = (): number => {
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
const before = retained()
let most = 0
const kept: (string | undefined)[] = []
let entries = 0
for await (const entry of listDirectory(new ObjectRequests(connection), `/rest/${count}`)) {
  entries++
  if (entry.type === 'object') kept.push(entry.name, entry.etag)
  if (entries % 5_000 === 0) most = Math.max(most, retained() - before)
}
const after = retained() - before
await connection.close()
console.log(JSON.stringify({ entries, most, kept: after, names: kept.length }))
