import type { Choices } from './choices.ts'
import { Refusal } from './refusal.ts'

/** First and last byte, both included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * Reads a `Range` header. One range is served; a header of another unit is ignored, and one with several ranges
 * unless the choice is to refuse it: the documents describe neither. 416 where nothing of the data is in the range.
 */
export function parseRange(
  header: string | undefined,
  size: number,
  choices: Choices,
): ByteRange | undefined {
  if (header === undefined) return undefined
  const refuse = (): never => {
    throw new Refusal(416, '', ['Content-Range', `bytes */${size}`])
  }
  const several = /^\s*bytes\s*=.*,/i.test(header)
  const parts = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header)
  if (several && choices.multipleRanges === 'refused') refuse()
  if (parts === null || (parts[1] === '' && parts[2] === '')) return undefined
  if (parts[1] === '') {
    const length = Math.min(Number(parts[2]), size)
    return length === 0 ? refuse() : { start: size - length, end: size - 1 }
  }
  const start = Number(parts[1])
  const end = parts[2] === '' ? size - 1 : Math.min(Number(parts[2]), size - 1)
  if (start >= size || end < start) return refuse()
  return { start, end }
}
