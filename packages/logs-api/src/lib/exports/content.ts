import { Transform, type TransformCallback } from 'node:stream'
import type { Extent } from './archives.ts'

/** Which of its forms an archive is wanted in: the `tar.gz`, unless `Accept` prefers a ZIP. */
export function wantsZip(accept: string | undefined): boolean {
  const weights = (accept ?? '').split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
    const quality = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = quality === undefined ? 1 : Number(quality.slice(2))
    return { type, weight: Number.isFinite(weight) ? weight : 0 }
  })
  const most = (types: readonly string[]): number =>
    Math.max(0, ...weights.filter(({ type }) => types.includes(type)).map(({ weight }) => weight))
  const zip = most(['application/zip', 'application/x-zip-compressed'])
  return zip > 0 && zip >= most(['application/gzip', 'application/x-gzip', 'application/octet-stream'])
}

/**
 * The part that `Range` asks for.
 *
 * @returns Undefined: all of it, also for several parts, or what is no range. `unsatisfiable`: there is no such part.
 */
export function extentOf(range: string | undefined, size: number): Extent | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(range ?? '') ?? []
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) }
}

/** Whether a list of ETags, as `If-None-Match` has them, names this one. `W/` does not matter there. */
export function namesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((part) => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag)
}

/** Ends in an error unless it was given just so many bytes, so that nobody takes a part for the whole. */
export class Measure extends Transform {
  #left: number

  constructor(bytes: number) {
    super()
    this.#left = bytes
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#left -= chunk.length
    if (this.#left < 0) done(new Error('The archive is longer than it was when it was stored.'))
    else done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    done(this.#left === 0 ? null : new Error('The archive is shorter than it was when it was stored.'))
  }
}
