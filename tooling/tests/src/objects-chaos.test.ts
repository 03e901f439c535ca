import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { NativeAuthorization } from '@hcp/auth'
import { type Body, HcpError, Target } from '@hcp/connection'
import { startEmulator } from '@hcp/emulator'
import { ObjectClient, ObjectNotFoundError } from '@hcp/objects'
import { expect, test } from 'vitest'
import { disturb, randomFrom } from './disturbance.ts'

// Many callers store, read, copy, annotate and delete objects of their own in a namespace with versions, while nodes fail at random.
// Afterwards every version is read: what was called done is there once, what failed is there once or not at all.

/** What one caller knows of a path. */
interface Known {
  readonly path: string
  /** Content of the versions that are there, oldest first; `undefined` where it was deleted. */
  readonly versions: (string | undefined)[]
  /** What may be there besides. Nothing more is done with the path after that. */
  doubtful: string | undefined | null
  /** Annotation of the current version; `null`: not known. */
  annotation: string | undefined | null
}

/** Differs for every call, so that a mix-up shows. */
const contentOf = (label: string, size: number): string => `${label}\n`.repeat(1 + size / label.length)

function bodyOf(content: string, kind: number): Body {
  const pieces = function* (): Generator<string> {
    for (let at = 0; at < content.length; at += 20_000) yield content.slice(at, at + 20_000)
  }
  return [content, () => Readable.from(pieces()), new Blob([content]), Readable.from(pieces())][kind] as Body
}

test('whatever goes wrong, objects are what the client says of them', { timeout: 60_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  const random = randomFrom(seed)
  await using hcp = await startEmulator()
  await using target = new Target('n2.m.hcp1.test', {
    port: hcp.ports.http,
    tls: false,
    nameServers: [hcp.dns],
    authorization: new NativeAuthorization('n', 'n01'),
  })
  await using objects = new ObjectClient(target, {
    connections: 12,
    connectTimeout: 1_000,
    headersTimeout: 400,
    bodyTimeout: 400,
    retry: { attempts: 8, minDelay: 5, maxDelay: 100 },
  })
  await target.resolve()

  const all: Known[] = []
  const outcomes = new Map<string, number>()
  const note = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1)
  const facts = (): object => ({ seed, outcomes: Object.fromEntries(outcomes) })

  /** @returns Whether it was done; if not, it may have been done or not. */
  const attempt = async (what: string, doing: () => Promise<unknown>): Promise<boolean> => {
    try {
      await doing()
      note(what)
      return true
    } catch (error) {
      if (!(error instanceof HcpError)) throw error
      note(`${what} ${error.name}`)
      return false
    }
  }

  const worker = async (number: number): Promise<void> => {
    const own: Known[] = []
    const add = (path: string): Known => {
      const added: Known = { path, versions: [], doubtful: null, annotation: undefined }
      own.push(added)
      all.push(added)
      return added
    }
    const store = async (label: string, known: Known): Promise<void> => {
      const content = contentOf(label, random() ** 3 * 300_000)
      const annotation = random() < 0.3 ? `<a>${label}</a>` : undefined
      const options = {
        ...(annotation === undefined ? {} : { annotation: { name: 'a', content: annotation } }),
        ...(random() < 0.3 ? { onProgress: () => {} } : {}),
        size: content.length,
      }
      const body = bodyOf(content, Math.floor(random() * 4))
      if (await attempt('put', () => objects.put(known.path, body, options))) known.versions.push(content)
      else known.doubtful = content
      // A new version inherits the annotations of the one before.
      if (annotation !== undefined) known.annotation = annotation
    }
    const check = async (known: Known): Promise<void> => {
      const expected = known.versions.at(-1)
      let found: string | undefined
      const start = Math.floor(random() * 2_000)
      const ranged = known.path.includes('/ranges/') && expected !== undefined && expected.length > start
      const reading = async (): Promise<void> => {
        const reader = await objects.get(known.path, ranged ? { range: { start } } : {})
        if (!ranged) expect(reader.verified).toBe(false)
        found = await text(reader)
      }
      const gone = async (): Promise<void> => expect(await objects.exists(known.path)).toBe(false)
      if (expected === undefined) {
        await attempt('exists', gone)
      } else if (await attempt(ranged ? 'get range' : 'get', reading))
        expect(found === (ranged ? expected.slice(start) : expected), JSON.stringify(facts())).toBe(true)
    }
    for (let round = 0; round < 40; round++) {
      const label = `${number}-${round}`
      const certain = own.filter(({ doubtful }) => doubtful === null)
      const some = certain[Math.floor(random() * certain.length)]
      const content = some?.versions.at(-1)
      const what = random()
      const folder = random() < 0.3 ? 'ranges' : 'whole'
      if (some === undefined || what < 0.25) await store(label, add(`/rest/chaos/${folder}/${label}`))
      else if (what < 0.35) await store(label, some)
      else if (content === undefined) await check(some)
      else if (what < 0.45) {
        const copy = add(`/rest/chaos/${folder}/${label}`)
        if (await attempt('copy', () => objects.copy(some.path, copy.path))) copy.versions.push(content)
        else copy.doubtful = content
      } else if (what < 0.55) {
        const annotation = `<b>${label}</b>`
        const done = await attempt('putAnnotation', () =>
          objects.putAnnotation(some.path, annotation, { name: 'a' }),
        )
        some.annotation = done ? annotation : null
      } else if (what < 0.6) {
        if (await attempt('delete', () => objects.delete(some.path))) {
          some.versions.push(undefined)
          some.annotation = undefined
        } else some.doubtful = undefined
      } else await check(some)
    }
  }

  let over = false
  const disturbing = disturb(hcp, random, () => over, '/rest/chaos/whole')
  await Promise.all(Array.from({ length: 8 }, (_, number) => worker(number))).finally(() => {
    over = true
  })
  expect(await disturbing).toBeGreaterThan(10)

  // On quiet nodes, and sockets of its own.
  await target.circle.refresh()
  await pause(500)
  await using checker = new ObjectClient(target)
  for (const known of all) {
    const { path, versions, doubtful, annotation } = known
    const found: (string | undefined)[] = []
    try {
      for await (const { deleted, versionId } of checker.versions(path, { deleted: true }))
        found.push(deleted ? undefined : await (await checker.get(path, { version: versionId })).text())
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error
    }
    const perhaps = doubtful === null ? versions : [...versions, doubtful]
    const expected = found.length > versions.length ? perhaps : versions
    const short = (list: readonly (string | undefined)[]): unknown => list.map((each) => each?.split('\n')[0])
    expect({ path, versions: short(found), ...facts() }).toEqual({
      path,
      versions: short(expected),
      ...facts(),
    })
    expect(found.every((content, index) => content === expected[index])).toBe(true)
    if (doubtful !== null || annotation === null || found.at(-1) === undefined) continue
    const names = (await checker.annotations(path)).map(({ name }) => name)
    expect({ path, names, ...facts() }).toEqual({
      path,
      names: annotation === undefined ? [] : ['a'],
      ...facts(),
    })
    if (annotation !== undefined)
      expect(await (await checker.annotation(path, { name: 'a' })).text()).toBe(annotation)
  }
  expect(all.length).toBeGreaterThan(50)
})
