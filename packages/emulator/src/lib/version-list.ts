import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { checkConditions } from './conditions.ts'
import { acceptsGzip } from './content-coding.ts'
import { versionEntry } from './listing-entries.ts'
import type { StoredObject, Version } from './namespace.ts'
import { currentOf } from './namespace.ts'
import { Refusal } from './refusal.ts'
import { booleanParameter, encodeBytes } from './request-target.ts'
import { documentBody, documentHeaders } from './xml-document.ts'
import { escaped, plain } from './xml-text.ts'

/** GET and HEAD with `version=list`. */
export function listVersions(exchange: Exchange): Answer {
  const { namespace, target, method, headers: sent, system } = exchange
  need(exchange, 'browse')
  if (!namespace.settings.versioning) throw new Refusal(400, 'Versioning is off.')
  const deleted = booleanParameter(target.query, 'deleted') ?? false
  const entry = namespace.find(target.path)
  if (entry?.kind !== 'object') throw new Refusal(404)
  const versions = listed(entry, deleted)
  // The list is for those to whom each of the versions would be given.
  for (const version of versions) if (version.marker === undefined) checkConditions(sent, version, true)
  const gzip = method === 'GET' && acceptsGzip(sent['accept-encoding'], system.choices)
  const headers = documentHeaders(gzip)
  if (method === 'HEAD') return { status: 200, headers }
  if (system.choices.versionOrder === 'newestFirst') versions.reverse()
  return { status: 200, headers, body: documentBody(document(exchange, entry, versions, deleted), gzip) }
}

/** What is listed, oldest first. A delete marker is described as the object that was deleted. */
function listed({ versions }: StoredObject, deleted: boolean): Version[] {
  return versions.flatMap((version, index) => {
    if (version.marker === undefined) return version
    return deleted ? { ...version, annotations: versions[index - 1]?.annotations ?? [] } : []
  })
}

function* document(
  { namespace, target: { path } }: Exchange,
  entry: StoredObject,
  versions: readonly Version[],
  deleted: boolean,
): Generator<Buffer> {
  const full = `/rest/${path}`
  const parent = full.slice(0, full.lastIndexOf('/'))
  const last = path.slice(path.lastIndexOf('/') + 1)
  const { name } = namespace.settings
  let text =
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<?xml-stylesheet type="text/xsl" href="/static/xsl/ns-versions.xsl"?>\n' +
    '<versions xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"' +
    ' xsi:noNamespaceSchemaLocation="/static/xsd/ns-versions.xsd"' +
    ` path="${encodeBytes(full)}" utf8Path="${plain(full)}"` +
    ` parentDir="${encodeBytes(parent)}" utf8ParentDir="${plain(parent)}"` +
    ` deleted="${currentOf(entry) === undefined}" showDeleted="${deleted}"` +
    ` namespaceName="${escaped(name)}" utf8NamespaceName="${escaped(name)}">\n`
  for (const version of versions) {
    text += versionEntry(last, version, namespace.line?.has(path) === false)
    if (text.length < 65_536) continue
    yield Buffer.from(text)
    text = ''
  }
  yield Buffer.from(`${text}</versions>\n`)
}
