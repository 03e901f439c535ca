import { type Body, HcpHashError, type HcpResponse } from '@hcp/connection'
import { checkOptions, hashOf, namedHashes, parseHash, RunningHash } from '@hcp/connection/support'
import { checkAnnotationName } from './annotation-name.ts'
import { bodySize, pipedBody } from './body-chunks.ts'
import { factsOf } from './errors.ts'
import type { CallOptions, ObjectRequests, RequestParts } from './object-requests.ts'

/** An annotation that is stored together with its object. */
export interface AnnotationInPut {
  /** Default `default`. */
  readonly name?: string
  /**
   * XML where the namespace checks for it, else anything. Of what is not well-formed there HCP stores nothing, but leaves an empty object,
   * which a PUT without annotation replaces.
   */
  readonly content: string | Uint8Array
}

const knownAnnotation: ReadonlySet<string> = new Set(['name', 'content'])

/**
 * One request for an object and an annotation: the data and directly after it the annotation, told apart by `X-HCP-Size` (Using a
 * Namespace, "Storing object data and an annotation together").
 *
 * @throws {TypeError} if the size of the data is not known. @throws {HcpHashError} if HCP stored something else than was sent.
 */
export async function putWithAnnotation(
  requests: ObjectRequests,
  path: string,
  body: Body,
  annotation: AnnotationInPut,
  options: CallOptions,
  parts: RequestParts,
): Promise<HcpResponse> {
  checkOptions('put: annotation', annotation, knownAnnotation)
  const { name = 'default', content } = annotation
  checkAnnotationName(name)
  if (typeof content !== 'string' && !(content instanceof Uint8Array))
    throw new TypeError('annotation.content must be a string or bytes')
  const dataSize = await bodySize(body, parts.size)
  if (dataSize === undefined) {
    throw new TypeError(
      'size is needed to store a stream or function together with an annotation: say how many bytes it gives',
    )
  }
  const tail = typeof content === 'string' ? Buffer.from(content) : content
  let sent: RunningHash | undefined
  const whole = pipedBody(body, async function* (chunks) {
    // The algorithm of the namespace shows in the answer only.
    const hash = new RunningHash(parts.verifyHash === false ? [] : ['SHA-256', 'MD5'])
    sent = hash
    for await (const chunk of chunks) {
      hash.update(chunk)
      // Too much data would become a part of the annotation.
      if (hash.size > dataSize) throw new RangeError(`size says ${dataSize} bytes, but the body gives more`)
      yield chunk
    }
    if (hash.size < dataSize)
      throw new RangeError(`size says ${dataSize} bytes, but the body gave only ${hash.size}`)
    yield tail
  })
  const response = await requests.send('PUT', path, options, {
    ...parts,
    params: { ...parts.params, type: 'whole-object', annotation: name },
    headers: { ...parts.headers, 'X-HCP-Size': dataSize },
    body: whole,
    size: dataSize + tail.byteLength,
  })
  if (response.ok && parts.verifyHash !== false) {
    const of = namedHashes(response.headers).find(({ scheme }) => sent?.hex(scheme) !== undefined)
    const data = of && sent?.hex(of.scheme)
    if (of === undefined || data !== of.hex) throw notWhatWasSent(response, data, of?.hex)
    const named = parseHash(response.headers['x-hcp-custommetadatahash'])
    const actual = named && hashOf(named.scheme, tail)
    if (named !== undefined && actual !== undefined && actual !== named.hex)
      throw notWhatWasSent(response, actual, named.hex)
  }
  return response
}

const notWhatWasSent = (
  response: HcpResponse,
  sent: string | undefined,
  stored: string | undefined,
): HcpHashError =>
  new HcpHashError(
    stored === undefined
      ? `The answer to PUT ${response.url} names no hash that the body can be compared with`
      : `HCP stored ${response.url} with the hash ${stored}, but what was sent has ${sent}: what is stored is not what was meant`,
    sent,
    stored,
    factsOf(response),
  )
