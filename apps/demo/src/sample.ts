// The sample program of the Python hcpsdk's manual (chapter 9): authorization, target, connection; an object is stored, looked
// at, read and deleted. Its output has the form that the manual shows. It runs on an HCP on loopback.
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NativeAuthorization } from '@hcp/auth'
import { Connection, FileBody, HcpError, HcpTimeoutError, type HcpResponse, Target } from '@hcp/connection'
import { startEmulator } from '@hcp/emulator'
import { pythonList, pythonPairs } from './python-form.ts'

/** What the manual prints for its file of 128 KiB. */
const knownHash = 'SHA-256 A2706A20394E48179A86C71E82C360C2960D3652340F9B9FDB355A42E3AC7691'
const knownTag = '"ced877c812a6b561fa8c28b99fda69f2"'
const objectPath = '/rest/hcpsdk/sample_primary_only.txt'

/** As HCP spells its headers; undici tells them in lower case, which is the same to HTTP. */
const headerNames = new Map(
  (
    'Date Server X-RequestId X-HCP-ServicedBySystem X-HCP-Time X-HCP-SoftwareVersion ETag Cache-Control Pragma Expires ' +
    'Content-Type Content-Length X-HCP-Type X-HCP-Size X-HCP-Hash X-HCP-VersionId X-HCP-IngestTime X-HCP-IngestTimeMilliseconds X-HCP-RetentionClass ' +
    'X-HCP-RetentionString X-HCP-Retention X-HCP-IngestProtocol X-HCP-RetentionHold X-HCP-Shred X-HCP-DPL X-HCP-Index ' +
    'X-HCP-Custom-Metadata X-HCP-ACL X-HCP-Owner X-HCP-Domain X-HCP-UID X-HCP-GID X-HCP-CustomMetadataAnnotations ' +
    'X-HCP-Replicated X-HCP-ReplicationCollision X-HCP-ChangeTimeMilliseconds X-HCP-ChangeTimeString Last-Modified'
  )
    .split(' ')
    .map((name) => [name.toLowerCase(), name]),
)

console.log('running *sample.ts*')
const folder = await mkdtemp(join(tmpdir(), 'hcp-sample-'))
try {
  await sample(folder)
} catch (error) {
  if (!(error instanceof Error)) throw error
  console.error(error instanceof HcpError ? `${error.code}: ${error.message}` : error.message)
  process.exitCode = 1
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function sample(folder: string): Promise<void> {
  const file = join(folder, '128kbfile')
  await writeFile(file, '0123456789abcdef'.repeat(8192))
  await using hcp = await startEmulator()

  const authorization = new NativeAuthorization('n', 'n01')
  console.log('*I_NATIVE* authorization initialized\n')

  using target = new Target(`n1.m.${hcp.domain}`, {
    authorization,
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
    nameServers: [hcp.dns],
  })
  await target.resolve()
  console.log(`Target *t* was initialized with IP addresses: ${pythonList(target.addresses)}`)

  await using connection = new Connection(target, { connections: 1 })
  console.log(`Connection *c* uses IP address: ${connection.lastResponse?.address ?? 'None'}\n`)

  const stored = await succeed('PUT', 201, () =>
    connection.put(objectPath, new FileBody(file), { params: { index: true, shred: true } }),
  )
  console.log('PUT Request was successful')
  console.log(`used IP address: ${stored.address}`)
  console.log(`hash = ${stored.header('x-hcp-hash')}`)
  console.log(`connect time:     ${inSeconds(stored.timing.connect + stored.timing.tls)} seconds`)
  console.log(`Request duration: ${inSeconds(stored.timing.total)} seconds\n`)

  const head = await succeed('HEAD', 200, () => connection.head(objectPath))
  console.log('HEAD Request was successful - headers:')
  console.log(pythonPairs(headersOf(head)))
  showUse(head)

  const read = await succeed('GET', 200, () => connection.get(objectPath))
  const content = Buffer.from(await read.bytes())
  console.log("GET Request was successful - here's the content:")
  console.log(`b'${content.toString('latin1', 0, 40)}'...`)
  showUse(read)

  const deleted = await succeed('DELETE', 200, () => connection.delete(objectPath))
  console.log('DELETE Request was successful')
  showUse(deleted)

  const ours = createHash('sha256').update(content).digest('hex').toUpperCase()
  const facts = [stored.header('x-hcp-hash'), head.header('x-hcp-hash'), `SHA-256 ${ours}`]
  if (!facts.every((hash) => hash === knownHash))
    throw new Error(`the hashes are not the manual's: ${facts.join(', ')}`)
  if (head.header('etag') !== knownTag)
    throw new Error(`the ETag is not the manual's: ${head.header('etag')}`)
  if (!content.equals(await readFile(file))) throw new Error('what was read back is not what was stored')
}

/** Sends a request; any other status than the one wanted is an error, as are time-outs and lost connections. */
async function succeed(
  method: string,
  status: number,
  send: () => Promise<HcpResponse>,
): Promise<HcpResponse> {
  let response: HcpResponse
  try {
    response = await send()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const how = error instanceof HcpTimeoutError ? 'timed out' : 'failed'
    throw new Error(`${method} ${how} - ${error.message}`, { cause: error })
  }
  if (response.status === status) return response
  throw new Error(`${method} failed - ${response.status}-${response.statusText}`)
}

function headersOf(response: HcpResponse): [string, string][] {
  return Object.entries(response.headers).map(([name, value]) => [
    headerNames.get(name) ?? name,
    String(value),
  ])
}

function showUse({ address, timing }: HcpResponse): void {
  console.log(`used IP address: ${address}`)
  console.log(`Request duration: ${inSeconds(timing.total)} seconds\n`)
}

function inSeconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(12)
}
