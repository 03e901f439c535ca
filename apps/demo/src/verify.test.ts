import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { ObjectClient, ObjectNotFoundError } from '@hcp/objects'
import { PathBuilder } from '@hcp/pathbuilder'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Checks } from './checks.ts'
import { keep } from './keep.ts'
import { overwrite, retain, share, version } from './scenes.ts'
import { verify } from './verify.ts'
import { annotationName, type KeptFile, type Work } from './work.ts'

let folder: string
let hcp: Emulator
let target: Target
let objects: ObjectClient
let work: Work

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-verify-'))
  hcp = await startEmulator()
  target = new Target(`n1.m.${hcp.domain}`, {
    authorization: new NativeAuthorization('n', 'n01'),
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
    nameServers: [hcp.dns],
  })
  objects = new ObjectClient(target)
})

afterAll(async () => {
  await objects.close()
  target.close()
  await hcp.close()
  await rm(folder, { recursive: true, force: true })
})

beforeEach(() => {
  work = { objects, checks: new Checks(), signal: new AbortController().signal }
})

const names = new PathBuilder({ initialPath: '/rest/demo', annotation: true })
const silent = (): void => {}

/** A file, stored as it is. */
async function stored(name: string, content: string): Promise<KeptFile> {
  const path = join(folder, name)
  await writeFile(path, content)
  return (await keep({ path, name, size: Buffer.byteLength(content) }, names, work)).kept
}

/** Puts something else in an object's place. */
async function replace({ path, annotation }: KeptFile, content: string): Promise<void> {
  await objects.delete(path)
  await objects.put(path, content, { annotation: { name: annotationName, content: annotation } })
}

test('an object that is what was stored passes every check', async () => {
  await verify(await stored('right', 'content'), work)
  expect(work.checks.failed).toEqual([])
  expect(work.checks.count).toBe(6)
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
    await objects.delete(object.path)
    await expect(verify(object, work)).rejects.toThrow(ObjectNotFoundError)
  })

  test('an annotation of another object', async () => {
    const object = await stored('renamed', 'content')
    const { annotation } = await stored('other', 'content')
    await objects.putAnnotation(object.path, annotation, { name: annotationName })
    await verify(object, work)
    expect(work.checks.failed).toEqual(['renamed: its annotation is not what was stored'])
  })

  test('an annotation that is not there', async () => {
    const object = await stored('bare', 'content')
    await objects.deleteAnnotation(object.path, { name: annotationName })
    await expect(verify(object, work)).rejects.toThrow(ObjectNotFoundError)
  })

  test('content that was damaged on its way', async () => {
    const object = await stored('damaged', 'content')
    hcp.addFault({
      kind: 'garbage',
      when: 'body',
      method: 'GET',
      afterBytes: object.annotation.length,
      count: 1,
    })
    await expect(verify(object, work)).rejects.toMatchObject({ code: 'HCP_HASH' })
  })

  test('a name that could be overwritten', async () => {
    const object = await stored('overwritten', 'content')
    await objects.delete(object.path)
    await overwrite(object, work, silent).catch(silent)
    expect(work.checks.failed[0]).toBe(
      'overwritten: overwriting it: not refused, not ObjectConflictError 409 different',
    )
  })

  test('a file that HCP has no room for', async () => {
    hcp.setDisk({ full: true })
    await using impatient = new ObjectClient(target, { retry: false })
    const path = join(folder, 'unlucky')
    await writeFile(path, 'content')
    const keeping = keep({ path, name: 'unlucky', size: 7 }, names, { ...work, objects: impatient })
    await expect(keeping).rejects.toMatchObject({ status: 503 })
    hcp.setDisk({ full: false })
  })
})

test('an overwriting that is refused leaves no complaint', async () => {
  await overwrite(await stored('safe', 'content'), work, silent)
  expect(work.checks.failed).toEqual([])
})

test('a name that XML cannot hold is stored percent-encoded', async () => {
  const { annotation } = await stored('bell\u0007', 'content')
  expect(annotation).toContain('filename="bell%07"')
})

test('only errors of HCP count as refusals', async () => {
  const refused = work.checks.refused('a bug', Promise.reject(new TypeError('a bug')), 'HcpResponseError 403')
  await expect(refused).rejects.toThrow('a bug')
  expect(work.checks.count).toBe(0)
})

test.each([
  ['retention', () => retain(work, silent), 'no retention class'],
  ['access control lists', () => share(objects, work, silent), 'a user who may do everything'],
  ['versions', () => version(work, silent), 'a namespace without versions'],
])('the scene of %s fails where its rules are not in force', async (_, scene) => {
  const threw = await scene().then(
    () => false,
    () => true,
  )
  expect(threw || work.checks.failed.length > 0).toBe(true)
})
