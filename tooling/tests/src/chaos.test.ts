import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { NativeAuthorization } from '@hcp/auth'
import { Connection, HcpError, Target } from '@hcp/connection'
import { startEmulator } from '@hcp/emulator'
import { PathBuilder } from '@hcp/pathbuilder'
import { expect, test } from 'vitest'
import { disturb, randomFrom } from './disturbance.ts'

// Many writers and readers on four nodes while faults come and go at random. Afterwards a checker reads everything back: what
// was acknowledged is there, whole and once; what failed is there whole or not at all.

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Content that differs for every object, so that a mix-up shows. */
function contentOf(path: string, size: number): Buffer {
  const line = Buffer.from(`${path}\n`)
  return Buffer.alloc(size, line.length > 0 ? line : 'x')
}

test(
  'whatever goes wrong, nothing acknowledged is lost, cut, doubled or mixed up',
  { timeout: 120_000 },
  async () => {
    const seed = Date.now() % 1_000_000
    const random = randomFrom(seed)
    await using hcp = await startEmulator()
    await using target = new Target('n2.m.hcp1.test', {
      port: hcp.ports.http,
      tls: false,
      nameServers: [hcp.dns],
      authorization: new NativeAuthorization('n', 'n01'),
    })
    await using connection = new Connection(target, {
      connections: 12,
      connectTimeout: 1_000,
      headersTimeout: 400,
      bodyTimeout: 400,
      retry: { attempts: 8, minDelay: 5, maxDelay: 100 },
    })
    await target.resolve()

    const paths = new PathBuilder({ initialPath: '/rest/chaos' })
    const stored = new Map<string, Buffer>()
    const doubtful = new Map<string, Buffer>()
    const gone = new Set<string>()
    const outcomes = new Map<string, number>()
    const note = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1)

    const worker = async (number: number): Promise<void> => {
      for (let round = 0; round < 60; round++) {
        const path = paths.getUnique(`${number}-${round}`).objectPath
        const content = contentOf(path, Math.floor(random() ** 3 * 200_000))
        const kind = Math.floor(random() * 4)
        const pieces = function* (): Generator<Buffer> {
          for (let at = 0; at < content.length; at += 20_000) yield content.subarray(at, at + 20_000)
        }
        const body = [content, () => Readable.from(pieces()), () => content, Readable.from(pieces())][kind]
        try {
          const response = await connection.put(path, body, { verifyHash: random() < 0.5 })
          note(`PUT ${response.status}${response.settled ? ' settled' : ''}`)
          if (response.status === 201) stored.set(path, content)
          else doubtful.set(path, content)
        } catch (error) {
          if (!(error instanceof HcpError)) throw error
          note(`PUT ${error.code}`)
          doubtful.set(path, content)
        }
        const known = [...stored.keys()]
        const some = known[Math.floor(random() * known.length)]
        if (some === undefined) continue
        try {
          if (random() < 0.1) {
            stored.delete(some)
            gone.add(some)
            note(`DELETE ${(await connection.delete(some)).status}`)
          } else {
            const response = await connection.get(some, { verifyHash: true, buffered: random() < 0.5 })
            const bytes = await response.bytes()
            note(`GET ${response.status}`)
            if (response.status === 200) {
              expect({ some, hash: sha256(bytes), seed }).toEqual({
                some,
                hash: sha256(contentOf(some, bytes.length)),
                seed,
              })
            }
          }
        } catch (error) {
          if (!(error instanceof HcpError)) throw error
          note(`read ${error.code}`)
        }
      }
    }

    let over = false
    const disturbing = disturb(hcp, random, () => over, '/rest')
    await Promise.all(Array.from({ length: 12 }, (_, number) => worker(number))).finally(() => {
      over = true
    })
    expect(await disturbing).toBeGreaterThan(20)

    // The checker, on quiet nodes and a connection of its own.
    await using checker = new Connection(target, { connections: 8 })
    await target.circle.refresh()
    const facts = { seed, outcomes: Object.fromEntries(outcomes) }
    let versions = gone.size
    for (const [path, content] of stored) {
      const response = await checker.get(path, { verifyHash: true })
      expect({ path, status: response.status, ...facts }).toEqual({ path, status: 200, ...facts })
      expect(Buffer.compare(await response.bytes(), content)).toBe(0)
      versions++
    }
    for (const [path, content] of doubtful) {
      const response = await checker.get(path, { buffered: true })
      if (response.status === 404) continue
      expect(Buffer.compare(await response.bytes(), content)).toBe(0)
      versions++
    }
    const statistics = await (await checker.get('/proc/statistics')).text()
    // Versions of deleted objects count as well: an object that was stored twice would show here.
    expect({ versions: Number(/objectCount="(\d+)"/.exec(statistics)?.[1]), ...facts }).toEqual({
      versions,
      ...facts,
    })
    expect(stored.size).toBeGreaterThan(300)
  },
)
