import type { Readable } from 'node:stream'
import { PassThrough, pipeline } from 'node:stream'
import { annotationName, object } from './annotations.ts'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { checkConditions } from './conditions.ts'
import { acceptsGzip, compressed } from './content-coding.ts'
import { openBlobs } from './open-blobs.ts'
import { objectHeaders } from './object-headers.ts'
import { parseRange } from './ranges.ts'
import { Refusal } from './refusal.ts'

function isReplicated({ namespace, target }: Exchange): boolean {
  return namespace.line?.has(target.path) === false
}

/** GET and HEAD of an object or of one of its versions. */
export function readObject(exchange: Exchange): Answer {
  const { headers, system, method } = exchange
  need(exchange, method === 'HEAD' ? system.choices.headPermission : 'read')
  const version = object(exchange)
  checkConditions(headers, version, true)
  const gzip = method === 'GET' && acceptsGzip(headers['accept-encoding'], system.choices)
  const { before, after } = objectHeaders(version, system.choices, headers, isReplicated(exchange))
  const { data } = version
  const range = method === 'GET' ? parseRange(headers.range, data.size, system.choices) : undefined
  if (range !== undefined) {
    const length = String(range.end - range.start + 1)
    const span = `bytes ${range.start}-${range.end}/${data.size}`
    const small = system.blobs.buffer(data)
    return {
      status: 206,
      headers: [...before, 'Content-Length', length, 'Content-Range', span, ...after],
      body: small?.subarray(range.start, range.end + 1) ?? system.blobs.read(data, range.start, range.end),
    }
  }
  if (gzip) {
    const list = [...before, 'Content-Encoding', 'gzip', 'X-HCP-ContentLength', String(data.size), ...after]
    return {
      status: 200,
      headers: list,
      body: compressed(system.blobs.buffer(data) ?? system.blobs.read(data)),
    }
  }
  const list = [...before, 'Content-Length', String(data.size), ...after]
  if (method === 'HEAD') return { status: 200, headers: list }
  return { status: 200, headers: list, body: system.blobs.buffer(data) ?? system.blobs.read(data) }
}

/** GET and HEAD of an object's data together with one annotation. */
export function readWholeObject(exchange: Exchange): Answer {
  const { headers, system, method, target, namespace } = exchange
  need(exchange, 'read')
  const version = object(exchange)
  if (headers.range !== undefined) throw new Refusal(400, 'Range does not go with type=whole-object.')
  checkConditions(headers, version, true)
  const name = annotationName(target.query)
  const annotation = version.annotations.find((annotation) => annotation.name === name)
  if (annotation === undefined && system.choices.wholeObjectWithoutAnnotation === 404) throw new Refusal(404)
  const first = headers['x-hcp-custommetadatafirst'] === 'true'
  const { before, after } = objectHeaders(version, system.choices, headers, isReplicated(exchange))
  const length = version.data.size + (annotation?.blob.size ?? 0)
  const common = before.slice(0, -1)
  const gzip = method === 'GET' && acceptsGzip(headers['accept-encoding'], system.choices)
  const list = [
    ...common,
    'application/octet-stream',
    ...(gzip ? ['Content-Encoding', 'gzip', 'X-HCP-ContentLength'] : ['Content-Length']),
    String(length),
    ...after,
    'X-HCP-DataContentType',
    version.contentType,
    'X-HCP-CustomMetadataContentType',
    namespace.settings.checkXml ? 'text/xml' : 'unknown',
    'X-HCP-CustomMetadataFirst',
    String(first),
  ]
  if (method === 'HEAD') return { status: 200, headers: list }
  const parts = annotation === undefined ? [version.data] : [version.data, annotation.blob]
  if (first) parts.reverse()
  const body = joined(openBlobs(system.blobs, parts))
  return { status: 200, headers: list, body: gzip ? compressed(body) : body }
}

/** One stream after the other. */
function joined(sources: readonly Readable[]): Readable {
  const out = new PassThrough()
  async function* all(): AsyncGenerator<Buffer> {
    for (const source of sources) yield* source as AsyncIterable<Buffer>
  }
  pipeline(all, out, () => {
    // Some have not been begun where the client has gone.
    for (const source of sources) source.destroy()
  })
  return out
}
