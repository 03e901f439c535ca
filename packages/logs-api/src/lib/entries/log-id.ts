import { hash, randomFillSync } from 'node:crypto'

/**
 * Ids of entries: 32 lower-case hexadecimal digits, built like a UUID of version 7 (RFC 9562, 5.7).
 *
 * | bits | what |
 * | --- | --- |
 * | 48 | milliseconds since 1970 |
 * | 4 | version 7 |
 * | 12 | counter within the millisecond |
 * | 2 | variant |
 * | 12 | bucket |
 * | 50 | random; the last two bytes name the folders of an object |
 */
const pattern = /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/

const pool = Buffer.alloc(4096)
/** Bytes that one id takes. */
const share = 7
let used = pool.length
let lastMillisecond = 0
let counter = 0

/** An id above all that this process has made before, also when the clock was set back. */
export function newLogId(bucket: number): string {
  const now = Date.now()
  if (now > lastMillisecond) {
    lastMillisecond = now
    counter = 0
  } else if (++counter > 0xfff) {
    lastMillisecond++
    counter = 0
  }
  if (used + share > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const id = assemble(lastMillisecond, counter, bucket, pool, used)
  used += share
  return id
}

/**
 * An id that is the same for the same arguments.
 *
 * @param digest 9 bytes or more of a hash of what the entry is known by; takes the place of counter and chance.
 */
export function derivedLogId(milliseconds: number, digest: Uint8Array, bucket: number): string {
  const bytes = Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength)
  return assemble(milliseconds, bytes.readUInt16BE(share) & 0xfff, bucket, bytes, 0)
}

function assemble(milliseconds: number, count: number, bucket: number, random: Buffer, at: number): string {
  const time = milliseconds.toString(16).padStart(12, '0')
  const middle = 0x8000 | (bucket << 2) | ((random[at] as number) & 0b11)
  return `${time}7${count.toString(16).padStart(3, '0')}${middle.toString(16)}${random.toString('hex', at + 1, at + share)}`
}

/** 0 to 4,095: the first 12 bits of the SHA-256 of the dataset's id in UTF-8; of no dataset those of the empty text. Never to be changed. */
export function bucketOf(dataset: string | null): number {
  return Number.parseInt(hash('sha256', dataset ?? '', 'hex').slice(0, 3), 16)
}

/** Undefined: it is no id of an entry. */
export function bucketInId(logId: string): number | undefined {
  if (!pattern.test(logId)) return undefined
  return (Number.parseInt(logId.slice(16, 20), 16) >> 2) & 0xfff
}

/** Whether an entry of this id may belong to the dataset. */
export function mayBelong(logId: string, dataset: string): boolean {
  return bucketInId(logId) === bucketOf(dataset)
}
