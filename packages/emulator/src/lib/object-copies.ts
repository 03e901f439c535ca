import type { Readable } from 'node:stream'
import { permissionsOn } from './access-control-list.ts'
import { checkAnnotation, deletedVersion } from './annotations.ts'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { BlobError } from './blob-store.ts'
import { checkConditions } from './conditions.ts'
import { putDirectory } from './directories.ts'
import type { Annotation, Namespace, Version } from './namespace.ts'
import { leftBehind, readWriteSettings, store, storeVersion } from './object-writes.ts'
import { openBlobs } from './open-blobs.ts'
import { Refusal } from './refusal.ts'
import { checkPath, encodeBytes, decodeBytes, parseTarget } from './request-target.ts'
import { hasServices, settle } from './services.ts'
import { parseVersion, versionAt } from './version-values.ts'

/** What `X-HCP-CopySource` names. */
interface Source {
  readonly namespace: Namespace
  readonly path: string
  readonly version: string | undefined
}

/** PUT with `X-HCP-CopySource`: the data comes from an object of a namespace of the same tenant. */
export async function copyObject(exchange: Exchange): Promise<Answer> {
  const { target, system } = exchange
  need(exchange, 'write')
  await checkNoBody(exchange)
  const source = readSource(exchange)
  const all = readDirective(exchange)
  if (hasServices(source.namespace)) await settle(system, source.namespace, source.path, false)
  const found = findSource(exchange, source)
  if (found === 'directory') return putDirectory(exchange)
  if (target.path === '') throw new Refusal(409, 'The root directory exists.')
  const arrived = system.now()
  const settings = readWriteSettings(exchange, arrived)
  const annotations = all ? found.annotations : []
  const size = annotations.reduce((sum, { blob }) => sum + blob.size, found.data.size)
  // System metadata is the target's, as for a name that is free.
  const inherits = system.choices.copiedVersion === 'inherits'
  return storeVersion(exchange, { arrived, announced: size, settings, inherits }, async (written) => {
    const streams = openAll(exchange, found, annotations)
    try {
      const data = await store(exchange, streams.shift()!, written)
      const copied: Annotation[] = []
      for (const { name, change } of annotations) {
        const blob = await store(exchange, streams.shift()!, written)
        const refused = await checkAnnotation(exchange, name, blob)
        if (refused !== undefined) return await leftBehind(exchange, written, refused)
        copied.push({ name, blob, change })
      }
      return { data, annotations: copied }
    } finally {
      for (const stream of streams) stream.destroy()
    }
  })
}

async function checkNoBody({ body }: Exchange): Promise<void> {
  const refuse = (): never => {
    throw new Refusal(400, 'A copy has no body.')
  }
  if ((body.announced ?? 0) > 0) refuse()
  if (body.announced === undefined) for await (const chunk of body) if (chunk.length > 0) refuse()
}

function openAll({ system }: Exchange, { data }: Version, annotations: readonly Annotation[]): Readable[] {
  try {
    return openBlobs(system.blobs, [data, ...annotations.map(({ blob }) => blob)])
  } catch (error) {
    throw error instanceof BlobError ? new Refusal(405, 'The source cannot be read.') : error
  }
}

function readDirective({ headers }: Exchange): boolean {
  const directive = headers['x-hcp-metadatadirective'] ?? 'NONE'
  if (directive !== 'ALL' && directive !== 'NONE')
    throw new Refusal(400, 'X-HCP-MetadataDirective must be ALL or NONE.')
  return directive === 'ALL'
}

/** `<namespace>.<tenant>[.<domain>]/<path>[?version=<id>]`, percent-encoded in its parts or as a whole. */
function readSource({ headers, tenant, system }: Exchange): Source {
  const given = String(headers['x-hcp-copysource']).trim().replace(/^\//, '')
  const { root, path, query } = parseTarget(`/${given.includes('/') ? given : partlyEncoded(given)}`)
  const version = query.get('version')
  if (query.size > (version === undefined ? 0 : 1))
    throw new Refusal(400, 'The only parameter of a copy source is version.')
  checkPath(path, 'PUT', system.choices.reservedName)
  const host = root.toLowerCase()
  const short = host.endsWith(`.${system.domain}`) ? host.slice(0, -system.domain.length - 1) : host
  const [name = '', owner = '', ...more] = short.split('.')
  if (name === '' || owner === '' || more.length > 0)
    throw new Refusal(400, 'X-HCP-CopySource must be namespace.tenant/path.')
  if (owner !== tenant.name.toLowerCase())
    throw new Refusal(system.choices.foreignCopySource, 'The source of a copy is of the same tenant.')
  const namespace = tenant.namespaces.get(name)
  if (namespace === undefined)
    throw new Refusal(system.choices.unknownNamespace, 'The namespace of the source does not exist.')
  return { namespace, path, version }
}

/** A value that was encoded as a whole, as if only its path had been. */
function partlyEncoded(value: string): string {
  const text = decodeBytes(value)
  const [, path = '', version = ''] = /^(.*?)(\?version=[^/]*)?$/s.exec(text) ?? []
  return encodeBytes(path) + version
}

/** The version that is to be copied, or that there is a directory. */
function findSource(exchange: Exchange, { namespace, path, version }: Source): Version | 'directory' {
  const { caller, headers } = exchange
  if (!permissionsOn(caller, namespace, path).has('read'))
    throw new Refusal(403, 'The permission read is missing for the source.')
  const entry = namespace.find(path)
  if (entry?.kind === 'directory' && !entry.deleted && version === undefined) return 'directory'
  if (entry?.kind === 'symlink') throw new Refusal(400, 'The source is a symbolic link.')
  if (entry?.kind !== 'object') throw new Refusal(404, 'There is no such source.')
  const found =
    version === undefined ? entry.versions.at(-1) : versionAt(entry.versions, parseVersion(version))
  if (found === undefined || (found.marker && version === undefined))
    throw new Refusal(404, 'There is no such source.')
  if (found.marker) throw deletedVersion(exchange, found)
  checkConditions(sourceConditions(headers), found, true)
  return found
}

/** The conditions on the source, under the names of those on the target; some tables spell them with one hyphen more. */
function sourceConditions(headers: Exchange['headers']): Exchange['headers'] {
  const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']
  const entries = names.map((name) => {
    return [name, headers[`x-hcp-copysource-${name}`] ?? headers[`x-hcp-copy-source-${name}`]] as const
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Exchange['headers']
}
