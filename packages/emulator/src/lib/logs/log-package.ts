import type { Readable } from 'node:stream'
import { ZipFile } from 'yazl'
import type { RequestRecord } from '../request-log.ts'
import { accessLine, accessLogOf, accessLogs } from './access-log.ts'
import type { ArchiveEntry, ArchiveKind } from './archives.ts'
import { makeArchive, streamArchive } from './archives.ts'
import { inventLines, roomForLines } from './invented-history.ts'
import type { InventedLog } from './invented-history.ts'
import type { LogMark, LogNode, LogSelection, LogType } from './log-types.ts'
import { backEndAddress, logNodeNumber, logTypes } from './log-types.ts'
import { folderOf, nodeFiles, sNodeFiles } from './node-files.ts'

/** What a package is made of. Nothing of it changes any more. */
export interface LogPackageParts {
  readonly domain: string
  readonly softwareVersion: string
  readonly kind: ArchiveKind
  /** When it was made, epoch milliseconds. */
  readonly created: number
  /** Days since 1970, both included. */
  readonly firstDay: number
  readonly lastDay: number
  readonly nodes: readonly LogNode[]
  readonly sNodes: readonly string[]
  /** What the system has served, whenever. */
  readonly records: readonly RequestRecord[]
  readonly marks: readonly LogMark[]
  readonly invented: readonly InventedLog[]
}

/** The archive of one roll-over of the access logs of a node, before it is made. */
interface RollOver {
  readonly name: string
  readonly lines: () => Readonly<Record<string, Buffer>>
  /** To compress its random letters would take most of the time and gain a quarter. */
  readonly compressed: boolean
}

const hour = 3_600_000
export const dayLength: number = 24 * hour

const tags: Readonly<Record<LogType, string>> = {
  ACCESS: 'acc',
  SYSTEM: 'sys',
  SERVICE: 'svc',
  APPLICATION: 'app',
}

/** A package of logs that was prepared. What is downloaded of it is made on the way, and is the same bytes each time. */
export class LogPackage {
  readonly #parts: LogPackageParts
  /** By node, then by hour since 1970. */
  readonly #served = new Map<number, Map<number, RequestRecord[]>>()
  readonly #marks: readonly LogMark[]
  readonly #invented: readonly InventedLog[]

  constructor(parts: LogPackageParts) {
    this.#parts = parts
    const { firstDay, lastDay, records, marks, invented } = parts
    const within = (time: number): boolean => {
      const day = Math.floor(time / dayLength)
      return firstDay <= day && day <= lastDay
    }
    this.#marks = marks.filter(({ time }) => within(time))
    this.#invented = invented.filter(({ from }) => within(from))
    for (const record of records) {
      if (!within(record.time)) continue
      const hours = entryOf(this.#served, record.node, () => new Map<number, RequestRecord[]>())
      entryOf(hours, Math.floor(record.time / hour), () => []).push(record)
    }
  }

  get sNodes(): readonly string[] {
    return this.#parts.sNodes
  }

  /** Name of the file, with what has been selected. */
  fileName(selection: LogSelection): string {
    return `${this.#name(selection)}.zip`
  }

  /** The package as a ZIP file. To destroy it ends its making. */
  open(selection: LogSelection): Readable {
    const { kind, created, nodes } = this.#parts
    const zip = new ZipFile()
    const body = zip.outputStream as Readable
    const top = this.#name(selection)
    const options = { mtime: new Date(created), mode: 0o100644, compress: false }
    let archive: Readable | undefined
    const add = (name: string, entries: () => AsyncGenerator<ArchiveEntry>): void => {
      zip.addReadStreamLazy(`${top}/${name}.${kind}`, options, (callback) => {
        archive = streamArchive(kind, entries(), options.mtime)
        archive.on('error', (error) => body.destroy(error))
        callback(null, archive)
      })
    }
    body.once('close', () => archive?.destroy())
    zip.addBuffer(Buffer.from(this.#manifest(top, selection)), `${top}/manifest.csv`, options)
    for (const { node, up } of nodes) {
      if (!up || !selection.nodes.includes(logNodeNumber(node))) continue
      add(String(logNodeNumber(node)), () => this.#nodeEntries(node, selection.content))
    }
    for (const name of selection.sNodes) {
      add(name, async function* () {
        yield* sNodeFiles(name, created)
      })
    }
    zip.end()
    return body
  }

  #name({ nodes, content }: LogSelection): string {
    const { domain, created } = this.#parts
    const time = new Date(created).toISOString().replaceAll(/[-:]/g, '')
    const which =
      nodes.length === this.#parts.nodes.length ? '' : `-n${nodes.length === 0 ? 0 : nodes.join('_')}`
    const what = content.length === logTypes.length ? '' : content.map((type) => `-${tags[type]}`).join('')
    return `HCPLogs-${domain}${which}${what}-${time.slice(0, 8)}-${time.slice(9, 13)}`
  }

  /** Blocks of lines with an empty line between them. A node that gives nothing has no address in the first column. */
  #manifest(top: string, selection: LogSelection): string {
    const { domain, softwareVersion, created, firstDay, lastDay, kind, nodes } = this.#parts
    const lines = ['"Node IP","Archive","Node","Content"']
    for (const { node, up } of nodes) {
      const number = logNodeNumber(node)
      if (!selection.nodes.includes(number)) continue
      if (up) {
        const content = selection.content.join(' ')
        lines.push(`${backEndAddress(node)},${top}/${number}.${kind},${number},${content}`)
      } else lines.push(`not available,,${number},`)
    }
    for (const name of selection.sNodes) lines.push(`${name},${top}/${name}.${kind},${name},ALL`)
    return [
      '"System","Release","Created","First day","Last day"',
      `${domain},${softwareVersion},${new Date(created).toISOString()},${date(firstDay)},${date(lastDay)}`,
      '',
      ...lines,
      '',
      '',
    ].join('\n')
  }

  async *#nodeEntries(node: number, types: readonly LogType[]): AsyncGenerator<ArchiveEntry> {
    if (types.includes('ACCESS')) yield* ahead(this.#accessArchives(node))
    const served = [...(this.#served.get(node)?.values() ?? [])].reduce((sum, list) => sum + list.length, 0)
    yield* nodeFiles(node, types, { ...this.#parts, served, marks: this.#marks })
  }

  async *#accessArchives(node: number): AsyncGenerator<ArchiveEntry> {
    const { kind, created } = this.#parts
    for (const { name, lines, compressed } of this.#rollOvers(node)) {
      const content = Object.entries(lines()).map(([file, bytes]) => ({
        name: `${name}/${file}.0`,
        content: bytes,
      }))
      yield {
        name: `${folderOf(node)}/var/ris/retired/access-logs-${name}.${kind}`,
        content: await makeArchive(kind, content, new Date(created), compressed),
      }
    }
  }

  /** In order of time; what was really served goes before what was invented. */
  #rollOvers(node: number): RollOver[] {
    const found = new Map<string, RollOver>()
    for (const [number, records] of this.#served.get(node) ?? []) {
      const name = rollOverName(number * hour)
      found.set(name, { name, lines: () => this.#lines(records), compressed: true })
    }
    const room = roomForLines(this.#invented)
    for (const log of this.#invented) {
      const name = rollOverName(log.from)
      if (found.has(name)) continue
      const lines = (): Record<string, Buffer> => ({
        ...this.#lines([]),
        'http_gateway_request.log': inventLines(log, node, room),
      })
      found.set(name, { name, lines, compressed: false })
    }
    return [...found.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  #lines(records: readonly RequestRecord[]): Record<string, Buffer> {
    const { domain } = this.#parts
    return Object.fromEntries(
      accessLogs.map((file) => {
        const lines = records
          .filter((record) => accessLogOf(record) === file)
          .map((record) => `${accessLine(record, domain)}\n`)
        return [file, Buffer.from(lines.join(''), 'latin1')]
      }),
    )
  }
}

/** The time at which a log begins, `20170910-0345`. */
function rollOverName(time: number): string {
  const text = new Date(time).toISOString().replaceAll(/[-:]/g, '')
  return `${text.slice(0, 8)}-${text.slice(9, 13)}`
}

/** `09/30/2017`, of a day counted from 1970. */
function date(day: number): string {
  const [year, month, number] = new Date(day * dayLength).toISOString().slice(0, 10).split('-')
  return `${month}/${number}/${year}`
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

/** Makes the next one while one is used. */
async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next()
  try {
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = source.next()
      // It is awaited above, or nobody wants it any more.
      next.catch(() => undefined)
      yield value
    }
  } finally {
    await source.return(undefined)
  }
}
