import { HcpProtocolError, type HcpResponse, HcpTruncatedError } from '@hcp/connection'
import { checkBoolean, checkInteger, checkOptions } from '@hcp/connection/support'
import { checkAnnotationName } from './annotation-name.ts'
import { conditionHeaders, conditionOptions, type Conditions } from './conditions.ts'
import { checkIsPlain, describe, factsOf, mayGoOn } from './errors.ts'
import { checkIsObject, checkVersion } from './head.ts'
import { objectMetadata, sizeOf } from './metadata.ts'
import { type CallOptions, known, noOptions, type ObjectRequests } from './object-requests.ts'
import { extentOf, ObjectReader } from './object-reader.ts'
import { checkProgress, type OnProgress } from './progress.ts'
import { timeLeft } from './time-left.ts'

/** Bytes `start` to `end`, both included, or to the end of the object; or the `last` so many bytes. */
export type ByteRange =
  | { readonly start: number; readonly end?: number; readonly last?: undefined }
  | { readonly last: number; readonly start?: undefined; readonly end?: undefined }

export interface GetOptions extends CallOptions, Conditions {
  /** A version's id, or `@` and epoch milliseconds for the version that was current then (release 8.2 and later). */
  readonly version?: string
  /** Only a part. What lies beyond the end is left out; a range that begins there is refused by HCP with 416. */
  readonly range?: ByteRange
  /**
   * The annotation of this name comes in the same answer, in memory: see `annotation` of what is returned. Not together with `range`. An
   * object without it is an `ObjectNotFoundError`.
   */
  readonly annotation?: string
  /** Fail with 503 rather than wait for slow storage. */
  readonly nowait?: boolean
  /** Make HCP compute a missing ETag. */
  readonly forceEtag?: boolean
  /** Compare the whole content with HCP's hash; of no effect on a range. Default true. */
  readonly verifyHash?: boolean
  /**
   * How often in a row a broken transfer goes on from where it broke without a single further byte coming in. Default 5; 0 never
   * goes on.
   */
  readonly resumes?: number
  /** Called as the content comes in. */
  readonly onProgress?: OnProgress
}

const knownGet = known(
  ...conditionOptions,
  'version',
  'range',
  'annotation',
  'nowait',
  'forceEtag',
  'verifyHash',
  'resumes',
  'onProgress',
)

export async function getObject(
  requests: ObjectRequests,
  path: string,
  options: GetOptions = noOptions,
): Promise<ObjectReader> {
  if (options !== noOptions) checkOptions('get', options, knownGet)
  const began = options.deadline === undefined ? 0 : performance.now()
  const { range, verifyHash = true, resumes = 5, onProgress } = options
  let params: Record<string, string | undefined> | undefined
  let headers: Record<string, string> | undefined
  let whole: Record<string, string> | undefined
  if (options !== noOptions) {
    checkBoolean('verifyHash', verifyHash)
    checkInteger('resumes', resumes, 0, 1_000)
    checkProgress(onProgress)
    const { nowait = false, forceEtag = false } = options
    params = {
      version: checkVersion(options.version),
      nowait: checkBoolean('nowait', nowait) ? '' : undefined,
      forceEtag: checkBoolean('forceEtag', forceEtag) ? 'true' : undefined,
    }
    headers = conditionHeaders(options)
    if (range !== undefined) headers['Range'] = rangeHeader(range)
    if (options.annotation !== undefined) {
      if (range !== undefined) throw new TypeError('annotation and range cannot be asked for in one request')
      whole = { type: 'whole-object', annotation: checkAnnotationName(options.annotation) }
      // What is small comes first, so that the rest can stream.
      headers['X-HCP-CustomMetadataFirst'] = 'true'
    }
  }
  const current = timeLeft(options)
  for (let broken = 0; ; broken++) {
    const response = await requests.send('GET', path, current(), {
      params: whole === undefined ? params : { ...params, ...whole },
      headers,
      verifyHash: false,
    })
    try {
      checkIsObject(response)
      checkIsPlain(response)
      checkExtent(response, range)
      const annotation =
        whole === undefined ? undefined : await readAnnotation(response, whole['annotation'] as string)
      return new ObjectReader(response, {
        requests,
        path,
        options,
        params,
        began,
        verifyHash: verifyHash && range === undefined,
        resumes,
        onProgress,
        annotation,
      })
    } catch (error) {
      await response.dump()
      // Nothing but the annotation has been read yet: it is fetched anew.
      if (broken >= resumes || !mayGoOn(error) || error instanceof HcpProtocolError) throw error
    }
  }
}

/** @throws {HcpProtocolError} if the answer has another part of the object than was asked for; only its end may cut a range. */
function checkExtent(response: HcpResponse, range: ByteRange | undefined): void {
  if (range === undefined && response.status !== 206) return
  const size = sizeOf(response)
  const { start, length } = extentOf(response)
  const first = range?.last === undefined ? (range?.start ?? 0) : Math.max(0, size - range.last)
  const last = Math.min(range?.end ?? Number.POSITIVE_INFINITY, size - 1)
  if (start === first && length === last - first + 1) return
  throw new HcpProtocolError(
    describe(response, `asked for the bytes ${first} to ${last}, and got ${length} bytes from ${start} on`),
    factsOf(response),
  )
}

/** Takes the annotation off the beginning of an answer that has the object's data after it. */
async function readAnnotation(response: HcpResponse, name: string): Promise<Uint8Array> {
  const { size, annotations } = objectMetadata(response)
  const total = response.header('content-length')
  // Where the answer does not say how long it is, the object's metadata say how long the annotation is.
  const length =
    total === undefined ? annotations.find((each) => each.name === name)?.size : Number(total) - size
  const first = response.header('x-hcp-custommetadatafirst') === 'true'
  if (!first || length === undefined || !(length >= 0)) {
    throw new HcpProtocolError(
      describe(response, 'the answer does not say where the annotation ends and the data begin'),
      factsOf(response),
    )
  }
  const pieces: Uint8Array[] = []
  for (let left = length; left > 0;) {
    const piece = await response.read(left)
    if (piece.length === 0) {
      const received = length - left
      const message = describe(response, `the annotation ended after ${received} of ${length} bytes`)
      throw new HcpTruncatedError(message, length, received, factsOf(response))
    }
    left -= piece.length
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

const knownRange: ReadonlySet<string> = new Set(['start', 'end', 'last'])

function rangeHeader(range: unknown): string {
  if (typeof range !== 'object' || range === null)
    throw new TypeError('range must be { start, end } or { last }, in bytes')
  checkOptions('get: range', range, knownRange)
  const { start, end, last } = range as Record<string, unknown>
  if (last !== undefined) {
    if (start !== undefined || end !== undefined)
      throw new TypeError('range: give either start and end, or last')
    return `bytes=-${checkInteger('range.last (bytes)', last, 1, Number.MAX_SAFE_INTEGER)}`
  }
  const first = checkInteger('range.start (bytes)', start, 0, Number.MAX_SAFE_INTEGER)
  if (end === undefined) return `bytes=${first}-`
  return `bytes=${first}-${checkInteger('range.end (bytes)', end, first, Number.MAX_SAFE_INTEGER)}`
}
