import type { Bytes } from './bytes.ts'
import type { LogPackageError } from './errors.ts'
import { type LogFile, LogPackage } from './log-package.ts'

/** One request, as a node of HCP has logged it. */
export interface AccessRecord {
  /** IP address, v4 or v6. */
  readonly client: string
  /** `undefined` for anonymous requests. May hold blanks. */
  readonly user: string | undefined
  readonly time: Date
  /** Minutes that the node's own clock is ahead of UTC: 120 for `+0200`. */
  readonly zone: number
  /** `undefined` if the request line was none. */
  readonly method: string | undefined
  /** Path and query as they were received; the whole request line if it was none. */
  readonly target: string
  /** For example `HTTP/1.1`. `undefined` if the request line was none. */
  readonly protocol: string | undefined
  readonly status: number
  /** Bytes returned. `undefined` where the log has `-`. */
  readonly bytes: number | undefined
  /** What was addressed, as logged: `namespace.tenant`, `tenant@hs3`, `admin` and so on; `undefined` for `-`. */
  readonly place: string | undefined
  /** As far as `place` tells. With HSwift HCP's documents give both orders; it is read as namespace first. */
  readonly namespace: string | undefined
  readonly tenant: string | undefined
  /** Milliseconds inside HCP. */
  readonly latency: number
  /** The line. */
  readonly raw: string
  /** The General node, where the record is from a package. */
  readonly node: number | undefined
  /** The path in the package, where the record is from one. */
  readonly file: string | undefined
}

/** A line that is no record. */
export interface MalformedLine {
  /** At most its first 4,096 characters. */
  readonly raw: string
  /** In its file, from 1 on. */
  readonly line: number
  readonly node: number | undefined
  readonly file: string | undefined
}

export interface AccessLogOptions {
  /** Which files of a package to read. Default: those called `…request.log…`, as HCP's three request logs are. */
  readonly files?: (path: string) => boolean
  /** Only of these General nodes. */
  readonly nodes?: readonly number[]
  /** Told of each line that is no record. Without it, such lines are only not given. */
  readonly onMalformed?: (line: MalformedLine) => void
  /** Told of what cannot be read in a package, which is passed over then. Without it, that is thrown. */
  readonly onError?: (error: LogPackageError) => void
  readonly signal?: AbortSignal
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const requestLog = /request\.log[^/]*$/
const newline = 0x0a
/** Bytes: far more than the longest target and user. What is longer is no record. */
const longestLine = 32 * 1024
const rawLength = 4_096

/** The user may hold blanks, brackets and quotes: the time is the last thing in brackets that is one before the request line. */
const pattern =
  /^(\S+) (?:-|\S+) (.*?) \[(\d{2}\/[A-Z][a-z]{2}\/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "(.*)" (\d{3}) (\d+|-) (\S+) (\d+)\s*$/
const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (.*) (HTTP\/\d(?:\.\d)?)$/

/**
 * Reads one line of a request log.
 *
 * @returns `undefined` if it is no record.
 */
export function parseAccessLine(line: string): AccessRecord | undefined {
  return parse(line, undefined, undefined)
}

function parse(line: string, node: number | undefined, file: string | undefined): AccessRecord | undefined {
  const found = pattern.exec(line)
  if (found === null) return undefined
  const [, client, user, time, request, status, bytes, place, latency] = found as unknown as string[]
  const when = parseTime(time as string)
  if (when === undefined) return undefined
  const parts = requestLine.exec(request as string)
  const count = bytes === '-' ? undefined : Number(bytes)
  return {
    client: client as string,
    user: user === '-' ? undefined : user,
    time: new Date(when.at),
    zone: when.zone,
    method: parts?.[1],
    target: parts?.[2] ?? (request as string),
    protocol: parts?.[3],
    status: Number(status),
    bytes: count,
    place: place === '-' ? undefined : place,
    ...placeOf(place as string),
    latency: Number(latency),
    raw: line,
    node,
    file,
  }
}

interface Moment {
  readonly text: string
  readonly at: number
  readonly zone: number
}

/** Lines come in runs of the same second. */
let last: Moment | undefined

function parseTime(text: string): Moment | undefined {
  if (last?.text === text) return last
  const month = months.indexOf(text.slice(3, 6))
  const part = (from: number, to: number): number => Number(text.slice(from, to))
  const [day, hour, minute, second] = [part(0, 2), part(12, 14), part(15, 17), part(18, 20)] as const
  const zone = (part(22, 24) * 60 + part(24, 26)) * (text[21] === '-' ? -1 : 1)
  const local = Date.UTC(part(7, 11), month, day, hour, minute, second)
  // A leap second is in order, the 31st of April is not.
  if (
    month < 0 ||
    hour > 23 ||
    minute > 59 ||
    second > 60 ||
    new Date(local - second * 1000).getUTCDate() !== day
  )
    return undefined
  last = { text, at: local - zone * 60_000, zone }
  return last
}

function placeOf(place: string): { namespace: string | undefined; tenant: string | undefined } {
  if (place === '-') return { namespace: undefined, tenant: undefined }
  if (place.includes('@')) return { namespace: undefined, tenant: place.slice(0, place.indexOf('@')) }
  const dot = place.lastIndexOf('.')
  if (dot > 0) return { namespace: place.slice(0, dot), tenant: place.slice(dot + 1) }
  // The management API of a tenant is logged under its name; `admin` is the system.
  return { namespace: undefined, tenant: place === 'admin' ? undefined : place }
}

/** Writes a record as HCP does: what {@link parseAccessLine} makes the same record of. */
export function formatAccessLine(
  record: Omit<AccessRecord, 'raw' | 'node' | 'file' | 'namespace' | 'tenant'>,
): string {
  const {
    client,
    user = '-',
    time,
    zone,
    method,
    target,
    protocol,
    status,
    bytes = '-',
    place = '-',
  } = record
  const request = method === undefined ? target : `${method} ${target} ${protocol ?? 'HTTP/1.1'}`
  return `${client} - ${user} [${formatTime(time, zone)}] "${request}" ${status} ${bytes} ${place} ${record.latency}`
}

function formatTime(time: Date, zone: number): string {
  const local = new Date(time.getTime() + zone * 60_000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const date = `${two(local.getUTCDate())}/${months[local.getUTCMonth()]}/${String(local.getUTCFullYear()).padStart(4, '0')}`
  const clock = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(':')
  const ahead = Math.abs(zone)
  return `${date}:${clock} ${zone < 0 ? '-' : '+'}${two(Math.floor(ahead / 60))}${two(ahead % 60)}`
}

/**
 * The requests that HCP has logged, record by record: of a package, of one file in it, or of any stream of such lines.
 *
 * @throws {LogPackageError} where a package cannot be read, unless `onError` takes it.
 */
export async function* accessLog(
  source: LogPackage | LogFile | Bytes,
  options: AccessLogOptions = {},
): AsyncGenerator<AccessRecord, void> {
  const { files = (path: string) => requestLog.test(path), nodes, onMalformed, onError, signal } = options
  if (!(source instanceof LogPackage)) {
    const { node, path } = source as Partial<LogFile>
    yield* records(source, node, path, onMalformed, signal)
    return
  }
  const reading = {
    filter: files,
    ...(nodes === undefined ? {} : { nodes }),
    ...(onError === undefined ? {} : { onError }),
    ...(signal === undefined ? {} : { signal }),
  }
  const told = new Set<string>()
  for await (const file of source.files(reading)) {
    try {
      yield* records(file, file.node, file.path, onMalformed, signal)
    } catch (error) {
      signal?.throwIfAborted()
      const { place, problem } = error as Partial<LogPackageError>
      if (onError === undefined || place === undefined || problem === 'limit') throw error
      // If the archive around the file is damaged, the iteration over files tells.
      if (place === file.path && !told.has(place)) onError(error as LogPackageError)
      told.add(place)
    }
  }
}

async function* records(
  source: Bytes,
  node: number | undefined,
  file: string | undefined,
  onMalformed: AccessLogOptions['onMalformed'],
  signal: AbortSignal | undefined,
): AsyncGenerator<AccessRecord, void> {
  let line = 0
  const read = (bytes: Buffer): AccessRecord | undefined => {
    line += 1
    const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length
    const raw = bytes.toString('utf8', 0, end)
    const record = bytes.length > longestLine ? undefined : parse(raw, node, file)
    if (record === undefined && raw.trim() !== '')
      onMalformed?.({ raw: raw.slice(0, rawLength), line, node, file })
    return record
  }
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of source) {
    signal?.throwIfAborted()
    let chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    let at = chunk.indexOf(newline)
    if (at < 0) {
      // A line without an end is kept only as far as it is told of.
      if (rest.length <= longestLine) rest = Buffer.concat([rest, chunk])
      continue
    }
    if (rest.length > 0) {
      const record = read(Buffer.concat([rest, chunk.subarray(0, at)]))
      if (record !== undefined) yield record
      rest = Buffer.alloc(0)
      chunk = chunk.subarray(at + 1)
      at = chunk.indexOf(newline)
    }
    let start = 0
    for (; at >= 0; at = chunk.indexOf(newline, start)) {
      const record = read(chunk.subarray(start, at))
      start = at + 1
      if (record !== undefined) yield record
    }
    rest = Buffer.from(chunk.subarray(start))
  }
  if (rest.length > 0) {
    const record = read(rest)
    if (record !== undefined) yield record
  }
}
