/** Where a ZIP says that its directory is. */
export interface ZipEnd {
  readonly entries: number
  readonly directoryOffset: number
  readonly directorySize: number
}

export class ZipError extends Error {
  override name = 'ZipError'
}

const endSignature = 0x06054b50
const endSize = 22
const locatorSignature = 0x07064b50
const locatorSize = 20
const end64Signature = 0x06064b50
const end64Size = 56
/** Bytes: the record at the end with its longest comment, and what a large ZIP has before it. */
export const longestEnd: number = endSize + 65_535 + locatorSize + end64Size

/**
 * Reads the record that a whole ZIP ends with.
 *
 * @param tail The last bytes, {@link longestEnd} of them or all.
 * @param offset Where in the ZIP they begin.
 * @throws {ZipError} if there is none, or it says that something is missing or too much: a ZIP that was cut off, or is followed by
 *   anything else, another ZIP included, is none.
 */
export function readZipEnd(tail: Buffer, offset: number): ZipEnd {
  const at = findEnd(tail)
  if (at === undefined) throw new ZipError('it has no end')
  if (tail.readUInt16LE(at + 4) !== 0 || tail.readUInt16LE(at + 6) !== 0)
    throw new ZipError('it is a part of several')
  let end: ZipEnd = {
    entries: tail.readUInt16LE(at + 10),
    directorySize: tail.readUInt32LE(at + 12),
    directoryOffset: tail.readUInt32LE(at + 16),
  }
  let directoryEnd = offset + at
  const locator = at - locatorSize
  if (locator >= 0 && tail.readUInt32LE(locator) === locatorSignature) {
    directoryEnd = Number(tail.readBigUInt64LE(locator + 8))
    const record = directoryEnd - offset
    if (record < 0 || record + end64Size > locator || tail.readUInt32LE(record) !== end64Signature)
      throw new ZipError('its end is not where it says')
    end = {
      entries: Number(tail.readBigUInt64LE(record + 32)),
      directorySize: Number(tail.readBigUInt64LE(record + 40)),
      directoryOffset: Number(tail.readBigUInt64LE(record + 48)),
    }
  }
  if (end.directoryOffset + end.directorySize !== directoryEnd)
    throw new ZipError('its directory is not where it says: bytes are missing, or too many')
  return end
}

/** The record has a comment that goes on to the very end. */
function findEnd(tail: Buffer): number | undefined {
  for (let at = tail.length - endSize; at >= 0; at--) {
    if (tail.readUInt32LE(at) === endSignature && tail.readUInt16LE(at + 20) === tail.length - at - endSize)
      return at
  }
  return undefined
}
