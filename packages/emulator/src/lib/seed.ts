import { setImmediate as nextTurn } from 'node:timers/promises'
import { contentTypeOf } from './content-types.ts'
import type { Namespace, Version } from './namespace.ts'
import { fillLength } from './namespace.ts'
import { checkPath } from './request-target.ts'
import { defaultRetention } from './retention.ts'
import type { System } from './system.ts'

/** Many objects in one directory, all with the same data. */
export interface Seed {
  /** Namespace and tenant, such as `n1.m`. */
  readonly namespace: string
  /** Path below `/rest`, not percent-encoded; made where it is missing. Default: the root. */
  readonly directory?: string
  /** How many, at most 10,000,000. */
  readonly count: number
  /** Bytes of each. Default 0. */
  readonly size?: number
  /** What their names begin with; a number of eight digits follows, from 0 on. Default `object-`. */
  readonly prefix?: string
}

const known = new Set(['namespace', 'directory', 'count', 'size', 'prefix', 'cluster'])
const most = 10_000_000
const piece: Buffer = Buffer.alloc(64 * 1024, 'hello hcp\n')

/**
 * Makes the objects of a seed, as a PUT of each would; names that are there already stay as they are.
 *
 * @returns How many were made.
 * @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range.
 */
export async function plant(system: System, seed: Seed): Promise<number> {
  const { count, size, prefix, path, namespace } = checked(system, seed)
  const inDirectory = path === '' ? '' : `${path}/`
  const { settings } = namespace
  if (namespace.usedBytes + count * size > settings.quotaBytes) {
    throw new RangeError(`count: the quota of ${settings.name} has no room for that`)
  }
  const data = await system.blobs.write(content(size), settings.hashScheme)
  const now = system.now()
  const version: Version = {
    id: now * 64 + 1,
    data: { ...data, shared: true },
    ingest: now,
    change: now,
    ...defaultRetention(settings, now),
    hold: false,
    shred: settings.defaultShred,
    dpl: settings.dpl,
    index: settings.defaultIndex,
    owner: '',
    domain: '',
    contentType: contentTypeOf(`${prefix}0`),
    annotations: [],
  }
  let made = 0
  for (let from = 0; from < count; from += fillLength) {
    const names: string[] = []
    for (let number = from; number < Math.min(count, from + fillLength); number++) {
      const name = prefix + String(number).padStart(8, '0')
      if (namespace.find(inDirectory + name) === undefined && !namespace.writing.has(inDirectory + name))
        names.push(name)
    }
    made += names.length
    if (names.length > 0) await system.commit(namespace, { op: 'fill', path, names, version })
    // Requests get their turn.
    await nextTurn()
  }
  if (made === 0) await system.blobs.delete(data)
  return made
}

function checked(
  system: System,
  seed: Seed,
): { namespace: Namespace; path: string; count: number; size: number; prefix: string } {
  for (const name of Object.keys(seed)) {
    if (!known.has(name)) throw new TypeError(`${name}: unknown field`)
  }
  const { namespace: where, directory = '', count, size = 0, prefix = 'object-' } = seed
  for (const [name, value] of Object.entries({ namespace: where, directory, prefix })) {
    if (typeof value !== 'string') throw new TypeError(`${name}: must be a string`)
  }
  for (const [name, value, maximum] of [
    ['count', count, most],
    ['size', size, 2 ** 40],
  ] as const) {
    if (typeof value !== 'number') throw new TypeError(`${name}: must be a number`)
    if (!Number.isInteger(value) || value < 0 || value > maximum)
      throw new RangeError(`${name}: must be a whole number from 0 to ${maximum}`)
  }
  const site = system.site(`${where}.${system.domain}`)
  if (site === undefined)
    throw new RangeError(`namespace: there is no ${where}; give its name and its tenant's, as n1.m`)
  // Names are bytes, of which each is one character.
  const bytes = (text: string): string => Buffer.from(text).toString('latin1')
  const path = bytes(directory).split('/').filter(Boolean).join('/')
  if (prefix.includes('/')) throw new RangeError('prefix: must be no path; see directory')
  try {
    checkPath(`${path}/${bytes(prefix)}00000000`, 'PUT')
    if (path !== '') site.namespace.checkParents(`${path}/x`)
  } catch (error) {
    throw new RangeError(`directory: ${(error as Error).message}`, { cause: error })
  }
  return { namespace: site.namespace, path, count, size, prefix: bytes(prefix) }
}

async function* content(size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length))
}
