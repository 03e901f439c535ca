import { once } from 'node:events'
import { Readable } from 'node:stream'
import { connect } from 'node:tls'
import { gunzipSync } from 'node:zlib'
import { extract } from 'tar-stream'
import { fromBuffer } from 'yauzl'
import type { Entry, ZipFile } from 'yauzl'
import type { Emulator } from '../emulator.ts'
import type { WireAnswer, WireRequest } from '../wire.testing.ts'
import { credentials, Wire } from '../wire.testing.ts'

const xml = { 'Content-Type': 'application/xml' }
/** All there is, from the beginning of time. */
export const everything = '<logPrepare><startDate>01/01/1970</startDate></logPrepare>'

/** A request to the management API, by the system's administrator if nobody else is named. */
export function managed(request: WireRequest): WireRequest {
  const { body, path = '', headers = body === undefined ? {} : xml } = request
  return {
    host: 'admin.hcp1.test',
    authorization: credentials('sysadmin', 's01'),
    ...request,
    path: `/mapi/logs${path}`,
    headers:
      request.method === 'POST' && body === undefined ? { ...headers, 'Content-Length': '0' } : headers,
  }
}

/** A connection to the management port of a node, of the second system's if it says so. */
export async function toManagement(
  hcp: Emulator,
  node = 1,
  cluster: 'primary' | 'replica' = 'primary',
): Promise<Wire> {
  const { nodes, ports, domain } = cluster === 'replica' ? hcp.ready.replica! : hcp.ready
  const servername = `admin.${domain}`
  const socket = connect({ port: ports.mapi, host: nodes[node - 1]!, ca: hcp.ca, servername })
  const wire = new Wire(socket)
  await once(socket, 'secureConnect')
  return wire
}

export async function ask(hcp: Emulator, request: WireRequest, node = 1): Promise<WireAnswer> {
  using wire = await toManagement(hcp, node)
  return await wire.send(managed(request)).answer(request.method)
}

/** The status document's values by name. */
export async function statusOf(hcp: Emulator): Promise<Record<string, string>> {
  const { text } = await ask(hcp, {})
  return Object.fromEntries(
    Array.from(text.matchAll(/<(\w+)>([^<]*)<\/\1>/g), ([, name, value]) => [name!, value!]),
  )
}

/** Asks for the status again and again until this holds of it. */
export async function until(
  hcp: Emulator,
  holds: (status: Record<string, string>) => boolean,
): Promise<void> {
  while (!holds(await statusOf(hcp))) await once(Readable.from(['']).resume(), 'end')
}

export async function prepared(hcp: Emulator, body: string = everything): Promise<void> {
  const { status, headers } = await ask(hcp, { method: 'POST', path: '/prepare', body })
  if (status !== 200) throw new Error(`${status} ${headers['x-hcp-errormessage']}`)
  await until(hcp, ({ readyForStreaming }) => readyForStreaming === 'true')
}

/** Downloads; `selection` is what is between the tags of `logDownload`. */
export function download(hcp: Emulator, selection = '', node = 1): Promise<WireAnswer> {
  return ask(
    hcp,
    { method: 'POST', path: '/download', body: `<logDownload>${selection}</logDownload>` },
    node,
  )
}

/** Begins a download and stops reading after its head. */
export async function stuck(hcp: Emulator): Promise<Wire> {
  const wire = await toManagement(hcp)
  wire.send(managed({ method: 'POST', path: '/download', body: '<logDownload/>' }))
  await wire.until((data) => data.includes('\r\n\r\n'))
  wire.socket.pause()
  return wire
}

/** Files by their names. */
export type Files = ReadonlyMap<string, Buffer>

export async function unzip(data: Buffer): Promise<Files> {
  const zip = await new Promise<ZipFile>((resolve, reject) => {
    fromBuffer(data, { lazyEntries: false, autoClose: false }, (error, file) => {
      if (error === null) resolve(file)
      else reject(error)
    })
  })
  const entries: Entry[] = []
  zip.on('entry', (entry: Entry) => entries.push(entry))
  await once(zip, 'end')
  const files = new Map<string, Buffer>()
  for (const entry of entries) {
    const stream = await new Promise<Readable>((resolve, reject) => {
      zip.openReadStream(entry, (error, opened) => {
        if (error === null) resolve(opened)
        else reject(error)
      })
    })
    files.set(entry.fileName, Buffer.concat((await stream.toArray()) as Buffer[]))
  }
  return files
}

/** An archive's files, compressed or not, as its first bytes say. */
export async function untar(data: Buffer): Promise<Files> {
  const files = new Map<string, Buffer>()
  const tar = extract()
  tar.end(data.readUInt16BE(0) === 0x1f8b ? gunzipSync(data) : data)
  for await (const entry of tar) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    files.set(entry.header.name, Buffer.concat(chunks))
  }
  return files
}

/** Everything in a package, with all archives opened: by path from the top folder on. */
export async function unpack(data: Buffer): Promise<{ top: string; files: Files }> {
  const zip = await unzip(data)
  const [top = ''] = [...zip.keys()][0]!.split('/')
  const files = new Map<string, Buffer>()
  const add = async (name: string, content: Buffer): Promise<void> => {
    files.set(name, content)
    if (!/\.tar(\.gz)?$/.test(name)) return
    for (const [inner, bytes] of await untar(content)) await add(`${name}/${inner}`, bytes)
  }
  for (const [name, content] of zip) await add(name.slice(top.length + 1), content)
  return { top, files }
}

/** The lines of the access logs of one kind in a package, of one node or all. */
export function linesOf(files: Files, log: string, node = '\\d+'): string[] {
  const path = new RegExp(`^${node}\\.tar.*/${log}\\.\\d+$`)
  return [...files].flatMap(([name, content]) =>
    path.test(name) ? content.toString('latin1').split('\n').slice(0, -1) : [],
  )
}
