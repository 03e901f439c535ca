import { deleteAcl, putAcl, readAcl } from './acl-requests.ts'
import { annotationInfo, deleteAnnotation, putAnnotation, readAnnotation } from './annotations.ts'
import type { Answer, Exchange } from './answer.ts'
import { onlyParameters } from './answer.ts'
import { putDirectory, readDirectory } from './directories.ts'
import { copyObject } from './object-copies.ts'
import { deleteObject } from './object-deletes.ts'
import { readObject, readWholeObject } from './object-reads.ts'
import { changeable, postObject } from './object-settings.ts'
import { putObject } from './object-writes.ts'
import { Refusal } from './refusal.ts'
import { booleanParameter, checkPath } from './request-target.ts'
import { hasServices, settle } from './services.ts'
import { throughLinks } from './symlinks.ts'
import { listVersions } from './version-list.ts'

type Handler = (exchange: Exchange) => Answer | Promise<Answer>

interface Operation {
  readonly parameters: ReadonlySet<string>
  readonly handle: Handler
}

function operation(handle: Handler, ...parameters: readonly string[]): Operation {
  return { handle, parameters: new Set(parameters) }
}

const storing = ['retention', 'hold', 'label_hold', 'label-hold', 'index', 'shred', 'acl']
const readsOf = (handle: Handler, ...parameters: readonly string[]): Record<string, Operation> => ({
  GET: operation(handle, ...parameters),
  HEAD: operation(handle, ...parameters),
})

/** What can be done, by the `type` of the query and the method, and which other parameters go with it. */
const operations: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  '': {
    ...readsOf(read, 'version', 'nowait', 'forceEtag', 'deleted', 'mostRecentDirTimes'),
    PUT: operation(put, ...storing, 'forceEtag'),
    POST: operation(postObject, ...changeable),
    DELETE: operation(deleteObject, 'purge', 'privileged', 'reason', 'version'),
  },
  'whole-object': {
    ...readsOf(readWholeObject, 'type', 'annotation', 'version', 'nowait', 'forceEtag'),
    PUT: operation((exchange) => putObject(exchange, true), 'type', 'annotation', ...storing),
  },
  'custom-metadata': {
    ...readsOf(readAnnotation, 'type', 'annotation', 'version', 'nowait'),
    PUT: operation(putAnnotation, 'type', 'annotation'),
    DELETE: operation(deleteAnnotation, 'type', 'annotation'),
  },
  'custom-metadata-info': readsOf(annotationInfo, 'type', 'version'),
  acl: {
    ...readsOf(readAcl, 'type'),
    PUT: operation(putAcl, 'type'),
    DELETE: operation(deleteAcl, 'type'),
  },
  directory: {
    ...readsOf(read, 'type', 'deleted', 'mostRecentDirTimes'),
    PUT: operation(putDirectory, 'type'),
  },
}

/** Answers a request for something under `/rest`. */
export function handleRest(exchange: Exchange): Answer | Promise<Answer> {
  const { method, target } = exchange
  checkPath(target.path, method, exchange.system.choices.reservedName)
  const type = target.query.get('type') ?? ''
  const methods = Object.hasOwn(operations, type) ? operations[type]! : undefined
  if (methods === undefined) throw new Refusal(400, 'The query parameter type has an invalid value.')
  const found = methods[method]
  if (found === undefined) throw new Refusal(405)
  if (target.query.size > 0) {
    onlyParameters(exchange, found.parameters)
    // Some of these say nothing about what is found, which is no reason to take any value.
    for (const name of ['deleted', 'mostRecentDirTimes', 'forceEtag']) booleanParameter(target.query, name)
  }
  if (!exchange.namespace.hasLinks) return settled(exchange, found.handle)
  return throughLinks(exchange, type, (at) => settled(at, found.handle))
}

/** Handles a request after what is due where it goes. */
function settled(exchange: Exchange, handle: Handler): Answer | Promise<Answer> {
  const { system, namespace, target, method } = exchange
  if (!hasServices(namespace)) return handle(exchange)
  return settle(system, namespace, target.path, method === 'DELETE').then(() => handle(exchange))
}

function read(exchange: Exchange): Answer {
  const { target, namespace } = exchange
  const version = target.query.get('version')
  if (version === 'list') return listVersions(exchange)
  const entry = namespace.find(target.path)
  if (entry?.kind === 'directory' && version === undefined) return readDirectory(exchange, entry)
  if (target.query.has('mostRecentDirTimes') || target.query.get('type') === 'directory')
    throw new Refusal(404)
  return readObject(exchange)
}

function put(exchange: Exchange): Answer | Promise<Answer> {
  if (exchange.headers['x-hcp-copysource'] !== undefined) return copyObject(exchange)
  return exchange.target.slash ? putDirectory(exchange) : putObject(exchange, false)
}
