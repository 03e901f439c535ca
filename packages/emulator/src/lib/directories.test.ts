import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { XMLParser } from 'fast-xml-parser'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import { ask, statusOf } from './wire.testing.ts'

const host = 'n2.m.hcp1.test'
let clock = Date.UTC(2026, 0, 1)
let hcp: Emulator
let data: string
const open = (): Promise<Emulator> => startEmulator({ nodes: 1, now: () => clock, data })
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  hcp = await open()
})
afterAll(async () => {
  await hcp.close()
  await rm(data, { recursive: true, force: true })
})

interface Listing {
  readonly [attribute: string]: string
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  isArray: (name) => name === 'entry',
})

async function list(path: string): Promise<Listing & { readonly entry: readonly Listing[] }> {
  const answer = await ask(hcp, { path, host })
  expect(answer.status).toBe(200)
  const { directory } = parser.parse(answer.text) as { directory: Listing & { entry?: readonly Listing[] } }
  return { ...directory, entry: directory.entry ?? [] } as Listing & { readonly entry: readonly Listing[] }
}

/** A request a second after the one before; gives the time. */
async function change(method: 'PUT' | 'DELETE', path: string): Promise<number> {
  clock += 1_000
  const status = await statusOf(hcp, { method, path, host, body: method === 'PUT' ? 'x' : undefined })
  expect(status).toBe(method === 'PUT' ? 201 : 200)
  return clock
}

const shown = (entries: readonly Listing[]): string[] =>
  entries.map(({ utf8Name, type, state }) => `${utf8Name} ${type} ${state}`)

test('deleted entries are listed for who asks for them, in a deleted directory too, and after a new start', async () => {
  await change('PUT', '/rest/d/kept')
  await change('PUT', '/rest/d/gone')
  await change('PUT', '/rest/d/empty?type=directory')
  await change('PUT', '/rest/d/full/old')
  await change('DELETE', '/rest/d/gone')
  await change('DELETE', '/rest/d/empty')
  await change('DELETE', '/rest/d/full/old')
  const removed = await change('DELETE', '/rest/d/full')
  for (let round = 0; round < 2; round++) {
    expect(shown((await list('/rest/d')).entry)).toEqual(['kept object created'])
    const all = await list('/rest/d?deleted=true')
    expect(all).toMatchObject({ dirDeleted: 'false', showDeleted: 'true' })
    expect(shown(all.entry)).toEqual([
      'empty directory deleted',
      'full directory deleted',
      'gone object deleted',
      'kept object created',
    ])
    expect(all.entry[1]!['changeTimeMilliseconds']).toBe(`${removed}.00`)
    for (const method of ['GET', 'HEAD']) {
      expect(await statusOf(hcp, { method, path: '/rest/d/full', host })).toBe(404)
      expect(await statusOf(hcp, { method, path: '/rest/d/full?deleted=true', host })).toBe(200)
    }
    const deleted = await list('/rest/d/full?deleted=true')
    expect(deleted).toMatchObject({ dirDeleted: 'true', changeTimeMilliseconds: `${removed}.00` })
    expect(shown(deleted.entry)).toEqual(['old object deleted'])
    expect((await list('/rest/d/empty?deleted=true')).entry).toEqual([])
    await hcp.close()
    hcp = await open()
  }
  const again = await change('PUT', '/rest/d/full?type=directory')
  expect((await list('/rest/d')).entry[0]).toMatchObject({
    utf8Name: 'full',
    state: 'created',
    changeTimeMilliseconds: `${again}.00`,
  })
})

test('a directory shows its making, or with mostRecentDirTimes what last came or went', async () => {
  const made = await change('PUT', '/rest/times/sub?type=directory')
  const added = await change('PUT', '/rest/times/sub/a')
  const time = async (query: string): Promise<string | undefined> =>
    (await list(`/rest/times${query}`)).entry[0]!['changeTimeMilliseconds']
  expect(await time('')).toBe(`${made}.00`)
  expect(await time('?mostRecentDirTimes=true')).toBe(`${added}.00`)
  const deleted = await change('DELETE', '/rest/times/sub/a')
  expect(await time('?mostRecentDirTimes=true')).toBe(`${deleted}.00`)
  expect(await time('?mostRecentDirTimes=false')).toBe(`${made}.00`)
  expect((await list('/rest/times/sub'))['changeTimeMilliseconds']).toBe(`${deleted}.00`)
})

test('entries come by the bytes of their names, each attribute at its place', async () => {
  for (const name of ['b', 'B', '%C3%A4', 'a%20b', 'a-', 'aa', 'a/x', '%F0%9F%94%92']) {
    await change('PUT', `/rest/order/${name}`)
  }
  const { entry } = await list('/rest/order')
  expect(entry.map(({ utf8Name }) => utf8Name)).toEqual(['B', 'a', 'a b', 'a-', 'aa', 'b', 'ä', '🔒'])
  expect(Object.keys(entry[0]!).join(' ')).toBe(
    'urlName utf8Name type size hashScheme hash etag retention retentionString retentionClass ingestTime ' +
      'ingestTimeMilliseconds ingestTimeString hold shred dpl index customMetadata customMetadataAnnotations ' +
      'version replicated changeTimeMilliseconds changeTimeString owner domain hasAcl state',
  )
  expect(Object.keys(entry[1]!).join(' ')).toBe(
    'urlName utf8Name type changeTimeMilliseconds changeTimeString state',
  )
})
