import { checkBoolean, checkInteger, checkOptions } from '@hcp/connection/support'
import { conditionHeaders, conditionOptions, type Conditions } from './conditions.ts'
import { checkIsObject, checkVersion } from './head.ts'
import { type CallOptions, known, noOptions, type ObjectRequests } from './object-requests.ts'
import { ObjectReader } from './object-reader.ts'
import { checkProgress, type OnProgress } from './progress.ts'

/** Bytes `start` to `end`, both included, or to the end of the object; or the `last` so many bytes. */
export type ByteRange =
  | { readonly start: number; readonly end?: number; readonly last?: undefined }
  | { readonly last: number; readonly start?: undefined; readonly end?: undefined }

export interface GetOptions extends CallOptions, Conditions {
  /** A version's id, or `@` and epoch milliseconds for the version that was current then (release 8.2 and later). */
  readonly version?: string
  /** Only a part. What lies beyond the end is left out; a range that begins there is refused by HCP with 416. */
  readonly range?: ByteRange
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
  const began = options.deadline === undefined ? 0 : performance.now()
  const { range, verifyHash = true, resumes = 5, onProgress } = options
  let params: Record<string, string | undefined> | undefined
  let headers: Record<string, string> | undefined
  if (options !== noOptions) {
    checkOptions('get', options, knownGet)
    checkBoolean('verifyHash', verifyHash)
    checkInteger('resumes', resumes, 0, 1_000)
    checkProgress(onProgress)
    params = {
      version: checkVersion(options.version),
      nowait: options.nowait === true ? '' : undefined,
      forceEtag: options.forceEtag === true ? 'true' : undefined,
    }
    headers = conditionHeaders(options)
    if (range !== undefined) headers['Range'] = rangeHeader(range)
  }
  const response = await requests.send('GET', path, options, { params, headers, verifyHash: false })
  try {
    checkIsObject(response)
    return new ObjectReader(response, {
      requests,
      path,
      options,
      params,
      began,
      verifyHash: verifyHash && range === undefined,
      resumes,
      onProgress,
    })
  } catch (error) {
    await response.dump()
    throw error
  }
}

function rangeHeader(range: unknown): string {
  if (typeof range !== 'object' || range === null)
    throw new TypeError('range must be { start, end } or { last }, in bytes')
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
