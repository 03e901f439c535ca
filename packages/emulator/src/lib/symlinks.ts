import type { Answer, Exchange } from './answer.ts'
import { permissionsOn } from './access-control-list.ts'
import { withoutConditions } from './conditions.ts'
import type { Namespace, Symlink } from './namespace.ts'
import { Refusal } from './refusal.ts'
import { checkPath } from './request-target.ts'
import type { System } from './system.ts'

/** A symbolic link that is to be made, as an NFS client of HCP would. */
export interface SymlinkSeed {
  /** Namespace and tenant, such as `n1.m`. */
  readonly namespace: string
  /** Path below `/rest`, not percent-encoded. */
  readonly path: string
  /** Where it leads to: from its own directory, or with a slash at its beginning from the namespace's root. */
  readonly target: string
}

type Handler = (exchange: Exchange) => Answer | Promise<Answer>

/**
 * Answers a request in a namespace that has links. A link that is the last part of a path stands for its target, but for
 * a DELETE; nothing can be stored in its place, and conditions do not count. In the middle of a path, in a circle, or out of the namespace it leads
 * nowhere.
 */
export function throughLinks(exchange: Exchange, type: string, handle: Handler): Answer | Promise<Answer> {
  const { namespace, target, method, caller } = exchange
  const found = firstLink(namespace, target.path)
  if (found === undefined) return handle(exchange)
  if (!found.last) throw new Refusal(404)
  const stores = type === '' || type === 'whole-object' || type === 'directory'
  if (method === 'PUT' && stores) throw new Refusal(409, 'A symbolic link with this name exists.')
  if (method === 'DELETE' && type === '') return handle(exchange)
  const path = follow(namespace, target.path)
  if (path === undefined) throw new Refusal(404)
  const permissions = permissionsOn(caller, namespace, path)
  const headers = method === 'DELETE' ? exchange.headers : withoutConditions(exchange.headers)
  const answer = handle({ ...exchange, headers, target: { ...target, path }, permissions })
  const { link } = found
  return answer instanceof Promise ? answer.then((each) => labelled(each, link)) : labelled(answer, link)
}

/** Says through which link an answer came, and no more whether there is an access control list. */
function labelled(answer: Answer, { target }: Symlink): Answer {
  const headers = answer.headers.map((value, index, all) =>
    all[index - 1] === 'X-HCP-ACL' ? 'false' : value,
  )
  return { ...answer, headers: [...headers, 'X-HCP-SymlinkTarget', target] }
}

/** The first link on a path, and whether the path ends there. */
function firstLink(namespace: Namespace, path: string): { link: Symlink; last: boolean } | undefined {
  let entry = namespace.find('')
  let left = path.split('/')
  while (entry?.kind === 'directory' && left.length > 0) {
    entry = entry.children.get(left[0]!)
    left = left.slice(1)
  }
  return entry?.kind === 'symlink' ? { link: entry, last: left.length === 0 } : undefined
}

/** Where a path leads to; nothing where it leads nowhere. */
function follow(namespace: Namespace, path: string): string | undefined {
  const seen = new Set<string>()
  let at: string | undefined = path
  while (at !== undefined) {
    const found = firstLink(namespace, at)
    if (found === undefined) return at
    if (!found.last || seen.has(at)) return undefined
    seen.add(at)
    at = resolve(at, found.link.target)
  }
  return undefined
}

function resolve(path: string, target: string): string | undefined {
  const parts = target.startsWith('/') ? [] : path.split('/').slice(0, -1)
  for (const part of target.split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return undefined
    } else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

const known = new Set(['namespace', 'path', 'target', 'cluster'])

/**
 * Makes a symbolic link, and the directories on the way to it.
 *
 * @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range or a name that is taken.
 */
export async function plantSymlink(system: System, seed: SymlinkSeed): Promise<void> {
  for (const name of Object.keys(seed)) {
    if (!known.has(name)) throw new TypeError(`${name}: unknown field`)
  }
  const { namespace: where, path: name, target } = seed
  for (const [field, value] of Object.entries({ namespace: where, path: name, target })) {
    if (typeof value !== 'string') throw new TypeError(`${field}: must be a string`)
  }
  const site = system.site(`${where}.${system.domain}`)
  if (site === undefined)
    throw new RangeError(`namespace: there is no ${where}; give its name and its tenant's, as n1.m`)
  const { namespace } = site
  // Names are bytes, of which each is one character.
  const bytes = (text: string): string => Buffer.from(text).toString('latin1')
  const path = bytes(name).split('/').filter(Boolean).join('/')
  if (path === '') throw new RangeError('path: is that of the root directory')
  if (target === '' || /\p{Cc}/u.test(target))
    throw new RangeError('target: must be a path without control characters')
  try {
    checkPath(path, 'PUT')
    namespace.checkParents(path)
  } catch (error) {
    throw new RangeError(`path: ${(error as Error).message}`, { cause: error })
  }
  const entry = namespace.find(path)
  const taken = entry?.kind === 'object' ? namespace.current(path) !== undefined : entry?.deleted === false
  if (taken || namespace.writing.has(path)) throw new RangeError('path: the name is taken')
  await system.commit(namespace, { op: 'symlink', path, target: bytes(target), at: system.now() })
}
