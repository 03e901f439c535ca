import { createCipheriv, createHash } from 'node:crypto'
import { logTime } from './access-log.ts'

/** A history of access logs that nobody made, for packages as large as a test wants them. */
export interface LogSeed {
  /** Bytes that a package of all of it has, about. */
  readonly bytes: number
  /** Days before now that it reaches back, at most 365. Default 7. */
  readonly days?: number
}

/** The file of one roll-over of a history that was invented. */
export interface InventedLog {
  /** Epoch milliseconds at which it begins and ends. */
  readonly from: number
  readonly to: number
  readonly size: number
}

const minute = 60_000
const day = 1_440 * minute
const usualSize = 512 * 1024
const largestSize = 64 * 1024 ** 2

/**
 * When and how long the logs of each node are.
 *
 * @param nodes How many nodes share the bytes.
 * @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range.
 */
export function inventHistory(seed: LogSeed, nodes: number, now: number): readonly InventedLog[] {
  for (const name of Object.keys(seed)) {
    if (name !== 'bytes' && name !== 'days') throw new TypeError(`${name}: unknown field`)
  }
  const { bytes, days = 7 } = seed
  for (const [name, value, least, most] of [
    ['bytes', bytes, 0, 2 ** 44],
    ['days', days, 1, 365],
  ] as const) {
    if (typeof value !== 'number') throw new TypeError(`${name}: must be a number`)
    if (!Number.isInteger(value) || value < least || value > most)
      throw new RangeError(`${name}: must be a whole number from ${least} to ${most}`)
  }
  if (bytes === 0) return []
  const each = bytes / nodes
  const count = Math.min(Math.max(days, Math.ceil(each / usualSize)), days * 1_440)
  const size = each / count
  if (size > largestSize) throw new RangeError(`bytes: ${days} days have no room for that; give more days`)
  const end = Math.floor(now / minute) * minute
  const begin = end - days * day
  const at = (index: number): number => begin + Math.floor((index * days * 1_440) / count) * minute
  return Array.from({ length: count }, (_, index) => ({
    from: at(index),
    to: at(index + 1),
    size: Math.round(size),
  }))
}

/** Letters enough that what is taken from them is not found again by a compressor. */
const poolSize = 1024 * 1024
const longestLine = 1024
let pool: Buffer | undefined

/** What lines are put together from: bytes that are there, as strings would leave much to be collected. */
const clients = table(64, (at) => `10.20.${at >> 4}.${(at % 16) * 13 + 7} - ingest${at % 10} [`)
const requests = table(2, (at) => ` +0000] "${at === 0 ? 'GET' : 'PUT'} /rest/invented/`)
/** Those at even places are of the first request, the others of the second. */
const answers = table(128, (at) => {
  const said = at % 2 === 0 ? `200 ${at * at * at * 17 + 1}` : '201 0'
  return ` HTTP/1.1" ${said} images.sales ${at >> 1}\n`
})

function table(size: number, make: (at: number) => string): readonly Buffer[] {
  return Array.from({ length: size }, (_, at) => Buffer.from(make(at)))
}

/** Room for the lines of any log of a history. */
export function roomForLines(history: readonly InventedLog[]): Buffer {
  return Buffer.allocUnsafe(Math.max(0, ...history.map(({ size }) => size)) + longestLine)
}

/**
 * As with real logs, each line ends with a line feed; the last one is whole. The same log has the same lines each time.
 *
 * @param lines Where they are put: to use the same room again keeps memory flat.
 */
export function inventLines({ from, to, size }: InventedLog, node: number, lines: Buffer): Buffer {
  pool ??= Buffer.from(randomBytes('names', poolSize).toString('base64url'))
  const random = numbers(`${node} ${from}`)
  const time = Buffer.alloc('03/May/2021:08:14:55'.length)
  let [length, written] = [0, -1]
  while (length < size) {
    const [one, two] = [random(), random()]
    const now = Math.floor((from + ((to - from) * length) / size) / 1_000)
    const second = now % 60
    // Dates are made once a minute.
    if (now - second !== written) {
      written = now - second
      time.write(logTime(written * 1_000))
    }
    time[time.length - 2] = 0x30 + Math.floor(second / 10)
    time[time.length - 1] = 0x30 + (second % 10)
    const start = one % (poolSize - longestLine)
    length += clients[two & 63]!.copy(lines, length)
    length += time.copy(lines, length)
    length += requests[one & 1]!.copy(lines, length)
    length += pool.copy(lines, length, start, start + 256 + ((two >>> 8) & 255))
    length += answers[((two >>> 15) & 126) | (one & 1)]!.copy(lines, length)
  }
  return lines.subarray(0, length)
}

/** Whole numbers from 0 to 2^32 - 1 that look random and are the same for the same text (xorshift). */
function numbers(text: string): () => number {
  let state = createHash('sha256').update(text).digest().readUInt32LE(0) || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function randomBytes(text: string, length: number): Buffer {
  const key = createHash('sha256').update(text).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}
