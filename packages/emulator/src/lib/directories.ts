import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Answer, Exchange, SystemSurface } from './answer.ts'
import { need } from './answer.ts'
import { acceptsGzip } from './content-coding.ts'
import { objectEntry } from './listing-entries.ts'
import type { Directory, Entry, Namespace } from './namespace.ts'
import { currentOf } from './namespace.ts'
import { changeTimes } from './object-headers.ts'
import { Refusal } from './refusal.ts'
import { booleanParameter, encodeBytes } from './request-target.ts'
import { dueChanges, hasServices } from './services.ts'
import { zonedTime } from './times.ts'
import { documentBody, documentHeaders } from './xml-document.ts'
import { escaped, plain } from './xml-text.ts'

/** PUT of a directory. */
export async function putDirectory(exchange: Exchange): Promise<Answer> {
  const { namespace, target, system } = exchange
  need(exchange, 'write')
  const entry = namespace.find(target.path)
  const exists = entry?.kind === 'object' ? currentOf(entry) !== undefined : entry?.deleted === false
  if (exists || namespace.writing.has(target.path)) throw new Refusal(409, 'The name is taken.')
  namespace.checkParents(target.path)
  await system.commit(namespace, { op: 'directory', path: target.path, at: system.now() })
  return { status: 201, headers: ['Location', `/rest/${encodeBytes(target.path)}`] }
}

/** GET (a listing) and HEAD of a directory. */
export function readDirectory(exchange: Exchange, directory: Directory): Answer {
  const { target, method, namespace, system, headers: sent } = exchange
  need(exchange, 'browse')
  const gzip = method === 'GET' && acceptsGzip(sent['accept-encoding'], system.choices)
  const deleted = booleanParameter(target.query, 'deleted') ?? false
  const recent = booleanParameter(target.query, 'mostRecentDirTimes') ?? false
  if (directory.deleted && !deleted) throw new Refusal(404)
  const change = directory.change || system.now()
  const headers = [...documentHeaders(gzip), 'X-HCP-Type', 'directory', ...changeTimes(change)]
  if (method === 'HEAD') return { status: 200, headers }
  const due = hasServices(namespace) ? system : undefined
  const options = { path: target.path, change, deleted, recent, due }
  return { status: 200, headers, body: documentBody(listing(namespace, directory, options), gzip) }
}

interface ListingOptions {
  readonly path: string
  readonly change: number
  readonly deleted: boolean
  readonly recent: boolean
  /** Where objects may have to go now. */
  readonly due: SystemSurface | undefined
}

/** The listing as XML, in pieces of some entries each: a directory may have a million of them. */
async function* listing(
  namespace: Namespace,
  directory: Directory,
  { path, change, deleted, recent, due }: ListingOptions,
): AsyncGenerator<Buffer> {
  const full = path === '' ? '/rest' : `/rest/${path}`
  const parent = path === '' ? '/' : full.slice(0, full.lastIndexOf('/'))
  const name = escaped(namespace.settings.name)
  let text =
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<?xml-stylesheet type="text/xsl" href="/static/xsl/ns-directory.xsl"?>\n' +
    '<directory xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"' +
    ' xsi:noNamespaceSchemaLocation="/static/xsd/ns-directory-6.0.xsd"' +
    ` path="${encodeBytes(full)}" utf8Path="${plain(full)}"` +
    ` parentDir="${encodeBytes(parent)}" utf8ParentDir="${plain(parent)}"` +
    ` dirDeleted="${directory.deleted}" showDeleted="${deleted}"` +
    ` namespaceName="${name}" utf8NamespaceName="${name}"` +
    ` changeTimeMilliseconds="${change}.00" changeTimeString="${zonedTime(change)}">\n`
  const { children } = directory
  const { line } = namespace
  // What comes or goes while this is on its way is in it or not; nothing is in it twice.
  for (let names = children.above(''); names.length > 0; names = children.above(names.at(-1)!)) {
    // Where nothing is to be said of many, others get their turn.
    await nextTurn()
    for (const key of names) {
      let entry = children.get(key)
      if (due !== undefined && entry?.kind === 'object') {
        const inner = path === '' ? key : `${path}/${key}`
        const changes = dueChanges(namespace, inner, entry, due.now())
        // Done when this returns; whether it will survive the end of the process, no client is told.
        for (const each of changes) due.commit(namespace, each).catch(() => undefined)
        if (changes.length > 0) entry = children.get(key)
      }
      if (entry !== undefined) {
        const replicated = line?.has(path === '' ? key : `${path}/${key}`) === false
        text += listingEntry(key, entry, deleted, recent, replicated)
      }
      if (text.length < 65_536) continue
      yield Buffer.from(text)
      text = ''
    }
  }
  yield Buffer.from(`${text}</directory>\n`)
}

function listingEntry(
  name: string,
  entry: Entry,
  showDeleted: boolean,
  recent: boolean,
  replicated: boolean,
): string {
  if (entry.kind === 'object') {
    const version = entry.versions.at(-1)!
    return version.marker && !showDeleted ? '' : objectEntry(name, version, replicated)
  }
  if (entry.kind === 'symlink') {
    const [target, text] = [encodeBytes(entry.target), plain(entry.target)]
    return (
      `  <entry urlName="${encodeBytes(name)}" utf8Name="${plain(name)}" type="symlink"` +
      ` symlinkTarget="${target}" utf8SymlinkTarget="${text}" state="created"/>\n`
    )
  }
  if (entry.deleted && !showDeleted) return ''
  const change = recent || entry.deleted ? entry.change : entry.created
  return (
    `  <entry urlName="${encodeBytes(name)}" utf8Name="${plain(name)}" type="directory" changeTimeMilliseconds="${change}.00"` +
    ` changeTimeString="${zonedTime(change)}" state="${entry.deleted ? 'deleted' : 'created'}"/>\n`
  )
}
