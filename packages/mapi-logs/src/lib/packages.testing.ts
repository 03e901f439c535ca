import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { ZipFile } from 'yazl'
import type { Bytes } from './bytes.ts'

/** A folder that goes away with the test. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'mapi-logs-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export async function bytesOf(source: Bytes): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of source) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** In pieces of some size. */
export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
}

// The same bytes each time.
const mtime = new Date('2021-05-03T08:15:00Z')

type TarMember = string | Buffer | (Partial<Header> & { readonly content?: string | Buffer })

/** A tar archive of files by their names, in order, links and the like too. */
export async function tarOf(members: readonly (readonly [string, TarMember])[]): Promise<Buffer> {
  const archive = pack()
  for (const [name, member] of members) {
    if (typeof member === 'string' || Buffer.isBuffer(member)) archive.entry({ name, mtime }, member)
    else {
      const { content = '', ...header } = member
      archive.entry({ name, mtime, ...header }, content)
    }
  }
  archive.finalize()
  return bytesOf(archive as unknown as Bytes)
}

/** A ZIP of files by their names, as it comes from a server that does not know sizes beforehand unless `sized`. */
export async function zipOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const zip = new ZipFile()
  for (const [name, content] of Object.entries(files)) zip.addBuffer(Buffer.from(content), name)
  zip.end()
  return bytesOf(zip.outputStream as unknown as Bytes)
}

export async function writeZip(
  file: string,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<void> {
  await pipeline(inPieces(await zipOf(files), 65_536), createWriteStream(file))
}

export const line = (second: number, target: string): string =>
  `10.20.0.15 - ingest01 [03/May/2021:08:14:${String(second % 60).padStart(2, '0')} +0200] "GET ${target} HTTP/1.1" 200 ${second} images.sales 34\n`

/** Files of a package of the layout that HCP 7 has, with gzip for bzip2: two nodes, one with two old access logs. */
export async function packageFiles(): Promise<Record<string, string | Buffer>> {
  const older = async (day: string, count: number): Promise<Buffer> =>
    gzipSync(
      await tarOf([
        [`${day}/admin_request.log.0`, ''],
        [
          `${day}/http_gateway_request.log.0`,
          Array.from({ length: count }, (_, index) => line(index, `/rest/${day}/${index}`)).join(''),
        ],
        [`${day}/mapi_gateway_request.log.0`, line(7, '/mapi/logs')],
      ]),
    )
  const node = async (number: string, days: readonly string[]): Promise<Buffer> =>
    gzipSync(
      await tarOf([
        [`${number}/var/log/messages`, 'started\n'],
        ...(await Promise.all(
          days.map(
            async (day) =>
              [`${number}/var/ris/retired/access-logs-${day}.tar.gz`, await older(day, 100)] as const,
          ),
        )),
      ]),
    )
  const top = 'HCPLogs-hcp1.test-20210503-0815'
  return {
    [`${top}/manifest.csv`]: [
      '"Created","By"',
      '03/May/2021,logreader',
      '',
      '"Node IP","Archive","Bytes"',
      `10.0.0.101,${top}/101.tar.gz,1234`,
      'S10-12345,failed,0',
      `10.0.0.103,${top}/103.tar.gz,77`,
      '',
      '"Node IP of another block"',
      '10.0.0.199,nowhere',
      '',
    ].join('\n'),
    [`${top}/101.tar.gz`]: await node('101', ['20210502-0345', '20210503-0345']),
    [`${top}/103.tar.gz`]: await node('103', ['20210503-0345']),
  }
}
