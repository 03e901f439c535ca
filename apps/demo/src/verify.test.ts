import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AnonymousAuthorization, NativeAuthorization } from '@hcp/auth'
import { Connection, Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { NamespaceInfo } from '@hcp/namespace'
import { PathBuilder } from '@hcp/pathbuilder'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Checks } from './checks.ts'
import { cleanUp } from './clean-up.ts'
import { PhaseFigures } from './figures.ts'
import { ingest } from './ingest.ts'
import { verify } from './verify.ts'
import { annotationParams, type StoredObject, type Work } from './work.ts'
import { tryToOverwrite } from './worm.ts'

let folder: string
let hcp: Emulator
let target: Target
let connection: Connection
let work: Work

const workOver = (connection: Connection): Work => ({
  connection,
  checks: new Checks(),
  figures: new PhaseFigures('test'),
  signal: new AbortController().signal,
})

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-verify-'))
  hcp = await startEmulator()
  target = new Target(`n1.m.${hcp.domain}`, {
    authorization: new NativeAuthorization('n', 'n01'),
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
    nameServers: [hcp.dns],
  })
  connection = new Connection(target)
})

afterAll(async () => {
  await connection.close()
  target.close()
  await hcp.close()
  await rm(folder, { recursive: true, force: true })
})

beforeEach(() => {
  work = workOver(connection)
})

const names = new PathBuilder({ initialPath: '/rest/demo', annotation: true })

/** A file, stored as it is. */
async function stored(name: string, content: string): Promise<StoredObject> {
  const path = join(folder, name)
  await writeFile(path, content)
  const object = await ingest({ path, name, size: Buffer.byteLength(content) }, names, work)
  if (object === undefined) throw new Error('not stored')
  return object
}

/** Puts something else in an object's place, or nothing. */
async function replace({ path, annotation }: StoredObject, content: string | undefined): Promise<void> {
  await connection.delete(path)
  if (content === undefined) return
  await connection.put(path, content)
  await connection.put(path, annotation, { params: annotationParams })
}

test('an object that is what was stored passes every check', async () => {
  await verify(await stored('right', 'content'), work)
  expect(work.checks.failed).toEqual([])
  expect(work.checks.count).toBe(7)
})

describe('a difference is reported:', () => {
  test('other content of the same size', async () => {
    const object = await stored('changed', 'content')
    await replace(object, 'CONTENT')
    await verify(object, work)
    expect(work.checks.failed).toEqual(['changed: what was read back is not what the file holds'])
  })

  test('content that is cut short', async () => {
    const object = await stored('cut', 'content')
    await replace(object, 'cont')
    await verify(object, work)
    expect(work.checks.failed).toEqual([
      'cut: 4 bytes were read back, 7 were stored',
      'cut: what was read back is not what the file holds',
    ])
  })

  test('an object that is not there', async () => {
    const object = await stored('lost', 'content')
    await replace(object, undefined)
    await verify(object, work)
    expect(work.checks.failed).toEqual([
      'lost: cannot be read back, status 404',
      'lost: its annotation is not what was stored',
    ])
  })

  test('an annotation of another object', async () => {
    const object = await stored('renamed', 'content')
    const { annotation } = await stored('other', 'content')
    await connection.put(object.path, annotation, { params: annotationParams })
    await verify(object, work)
    expect(work.checks.failed).toEqual(['renamed: its annotation is not what was stored'])
  })

  test('an annotation that is not there', async () => {
    const object = await stored('bare', 'content')
    await connection.delete(object.path, { params: annotationParams })
    await verify(object, work)
    expect(work.checks.failed).toEqual(['bare: its annotation is not what was stored'])
  })

  test('a hash in the answer that is not the content’s', async () => {
    const annotation = '<a/>'
    const server = createServer((request, response) => {
      response.setHeader('X-HCP-Hash', `SHA-256 ${'0'.repeat(64)}`)
      response.end(request.url?.includes('custom-metadata') === true ? annotation : 'content')
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    using elsewhere = new Target('127.0.0.1', {
      authorization: new AnonymousAuthorization(),
      port,
      tls: false,
    })
    {
      await using connection = new Connection(elsewhere)
      work = workOver(connection)
      const path = join(folder, 'misnamed')
      await writeFile(path, 'content')
      await verify({ file: { path, name: 'misnamed', size: 7 }, path: '/rest/misnamed', annotation }, work)
    }
    server.close()
    expect(work.checks.failed).toHaveLength(1)
    expect(work.checks.failed[0]).toMatch(
      /^misnamed: X-HCP-Hash is SHA-256 0+, but the content has SHA-256 ED7002B4/,
    )
  })

  test('a name that could be overwritten', async () => {
    const object = await stored('overwritten', 'content')
    await replace(object, undefined)
    await tryToOverwrite(object, work)
    expect(work.checks.failed[0]).toBe('overwritten: overwriting it was answered with 201, not with 409')
    expect(work.checks.failed).toContain('overwritten: what was read back is not what the file holds')
  })

  test('an object that is on hold and cannot be deleted', async () => {
    const object = await stored('held', 'content')
    await connection.post(object.path, new URLSearchParams({ hold: 'true' }))
    await cleanUp(object, work)
    expect(work.checks.failed).toEqual([
      'held: not deleted, status 403',
      'held: still there after its deletion, status 200',
    ])
    await connection.post(object.path, new URLSearchParams({ hold: 'false' }))
  })

  test('a file that HCP has no room for', async () => {
    hcp.setDisk({ full: true })
    const path = join(folder, 'unlucky')
    await writeFile(path, 'content')
    await using impatient = new Connection(target, { retry: false })
    const work = workOver(impatient)
    expect(await ingest({ path, name: 'unlucky', size: 7 }, names, work)).toBeUndefined()
    hcp.setDisk({ full: false })
    expect(work.checks.failed).toEqual(['unlucky: not stored, status 503'])
  })
})

test('an overwriting that is refused leaves no complaint', async () => {
  await tryToOverwrite(await stored('safe', 'content'), work)
  expect(work.checks.failed).toEqual([])
})

test('objects are counted as they come and go', async () => {
  const info = new NamespaceInfo(connection)
  const before = await info.statistics()
  const object = await stored('counted', 'content')
  expect(await info.statistics()).toMatchObject({
    objectCount: before.objectCount + 1,
    customMetadataObjectCount: before.customMetadataObjectCount + 1,
  })
  await cleanUp(object, work)
  expect(await info.statistics()).toEqual(before)
  expect(work.checks.failed).toEqual([])
})

test('a name that XML cannot hold is stored percent-encoded', async () => {
  const { annotation } = await stored('bell\u0007', 'content')
  expect(annotation).toContain('filename="bell%07"')
})
