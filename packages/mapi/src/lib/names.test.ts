import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { MapiDocumentError, MapiForbiddenError } from './errors.ts'
import { MapiClient } from './mapi-client.ts'
import { mapiPath } from './mapi-path.ts'
import type { PageOptions } from './names.ts'
import { json, reply, type ScriptServer, scriptServer, type Step, xml } from './script-server.testing.ts'

let server: ScriptServer
let mapi: MapiClient
beforeAll(async () => {
  server = await scriptServer(reply(200))
  mapi = new MapiClient(server.target(), { retry: false })
})
beforeEach(() => server.play(reply(200)))
afterAll(async () => {
  await mapi.close()
  await server[Symbol.asyncDispose]()
})

const path = mapiPath('tenants', 'a', 'namespaces')
const list = { root: 'namespaces', element: 'name' }
const documentOf = (names: readonly string[]): string =>
  `<namespaces>${names.map((name) => `<name>${name}</name>`).join('')}</namespaces>`
const asked = (path_: string): Record<string, string> =>
  Object.fromEntries(new URL(path_, 'https://hcp.test').searchParams)

/** A list as HCP serves it: the part that is asked for of what is there at that time. */
const served =
  (names: () => readonly string[]): Step =>
  (socket, request) => {
    const { offset = '0', count = '1000000' } = asked(request.path)
    xml(documentOf(names().slice(Number(offset), Number(offset) + Number(count))))(socket, request)
  }

const all = (options?: PageOptions): Promise<string[]> => Array.fromAsync(mapi.names(path, list, options))
const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `n${String(n).padStart(4, '0')}`)

test.each([0, 1, 2, 9, 10, 11, 19, 20, 21, 35])(
  'a list of %i comes whole, in order, with an explicit sort',
  async (count) => {
    const names = numbered(count)
    server.play(served(() => names))
    expect(await all({ pageSize: 10 })).toEqual(names)
    for (const [index, { path: sent }] of server.seen.entries()) {
      expect(asked(sent)).toEqual({
        sortType: 'name',
        sortOrder: 'ascending',
        offset: String(index === 0 ? 0 : index * 10 - 1),
        count: index === 0 ? '10' : '11',
      })
    }
    expect(server.seen.length).toBeLessThanOrEqual(Math.floor(count / 10) + 1)
  },
)

test('pages come as they are asked for, and none is empty', async () => {
  const names = numbered(25)
  server.play(served(() => names))
  const pages = mapi.names(path, list, { pageSize: 10 }).pages()
  expect(server.seen).toHaveLength(0)
  const sizes: number[] = []
  for await (const page of pages) {
    sizes.push(page.length)
    expect(server.seen).toHaveLength(sizes.length)
  }
  expect(sizes).toEqual([10, 10, 5])
})

test('a list that knows no pages comes once', async () => {
  for (const count of [0, 9, 10, 11, 30]) {
    const names = numbered(count)
    server.play(xml(documentOf(names)))
    // oxlint-disable-next-line no-await-in-loop -- one server
    expect(await all({ pageSize: 10 })).toEqual(names)
    expect(server.seen.length).toBeLessThanOrEqual(2)
  }
})

test('sorting and filtering are what was asked for', async () => {
  server.play(json('{"name":["b"]}'))
  await all({
    format: 'json',
    sortType: 'hardQuota',
    sortOrder: 'descending',
    filterType: 'tag',
    filter: 'a+b',
  })
  expect(asked(server.seen[0]?.path ?? '')).toEqual({
    sortType: 'hardQuota',
    sortOrder: 'descending',
    filterType: 'tag',
    filterString: 'a+b',
    offset: '0',
    count: '1000',
  })
})

test('a list of accounts is sorted and filtered by their names', async () => {
  server.play(xml('<userAccounts><username>u</username></userAccounts>'))
  const accounts = { root: 'userAccounts', element: 'username' }
  expect(await Array.fromAsync(mapi.names(mapiPath('userAccounts'), accounts, { filter: 'u' }))).toEqual([
    'u',
  ])
  expect(asked(server.seen[0]?.path ?? '')).toMatchObject({ sortType: 'username', filterType: 'username' })
})

test('whatever changes meanwhile, what was there all the time comes once, and there is an end', async () => {
  const name = fc.stringMatching(/^[a-z]{1,3}$/)
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 40 }),
      fc.array(
        fc.record({ add: fc.array(name, { maxLength: 12 }), remove: fc.array(fc.nat(), { maxLength: 12 }) }),
        {
          maxLength: 12,
        },
      ),
      fc.integer({ min: 1, max: 7 }),
      async (start, changes, pageSize) => {
        let now = start.toSorted()
        const always = new Set(start)
        const ever = new Set(start)
        const pending = [...changes]
        server.play(
          served(() => {
            const before = now
            const change = pending.shift()
            if (change !== undefined) {
              const left = new Set(now)
              for (const index of change.remove) {
                const gone = now[index % Math.max(1, now.length)]
                if (gone === undefined) continue
                left.delete(gone)
                always.delete(gone)
              }
              for (const each of change.add) {
                left.add(each)
                ever.add(each)
              }
              now = [...left].toSorted()
            }
            return before
          }),
        )
        const found = await all({ pageSize })
        expect(new Set(found).size).toBe(found.length)
        expect(found.filter((each) => !ever.has(each))).toEqual([])
        expect([...always].filter((each) => !found.includes(each))).toEqual([])
      },
    ),
    { numRuns: 150 },
  )
})

test('a list that brings the same full page for ever has an end', async () => {
  server.play((socket, request) => {
    const { count = '0' } = asked(request.path)
    xml(documentOf(numbered(Number(count))))(socket, request)
  })
  expect(await all({ pageSize: 10 })).toEqual(numbered(11))
  expect(server.seen.length).toBeLessThan(10)
})

test('a list that brings new names for ever is given up', { timeout: 60_000 }, async () => {
  let next = 0
  server.play((socket, request) => {
    const { count = '0' } = asked(request.path)
    xml(documentOf(Array.from({ length: Number(count) }, () => `n${next++}`)))(socket, request)
  })
  let count = 0
  const reading = (async () => {
    for await (const page of mapi.names(path, list, { pageSize: 20_000 }).pages()) count += page.length
  })()
  await expect(reading).rejects.toBeInstanceOf(MapiDocumentError)
  expect(count).toBeLessThanOrEqual(121_000)
})

test('a list that HCP does not give is its error', async () => {
  server.play(reply(403))
  await expect(all({ roles: { system: ['MONITOR'] } })).rejects.toBeInstanceOf(MapiForbiddenError)
})

test.each<[string, object]>([
  ['a page size of nothing', { pageSize: 0 }],
  ['an unknown order', { sortOrder: 'up' }],
  ['a filter with a comma', { filter: 'a,b' }],
  ['a filter that is too long', { filter: 'x'.repeat(65) }],
  ['a filter of nothing', { filter: '' }],
  ['a type without a filter', { filterType: 'tag' }],
  ['an unknown option', { limit: 3 }],
])('%s is refused at once', (_, options) => {
  expect(() => mapi.names(path, list, options)).toThrow(/must|unknown option|of no effect/)
})
