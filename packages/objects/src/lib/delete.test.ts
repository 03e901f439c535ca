import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { clientOf } from '../../test/emulated.ts'
import type { DeleteOptions } from './delete.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { retainFor } from './retention.ts'

let hcp: Emulator
let objects: ObjectClient
let versioned: ObjectClient
beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  versioned = clientOf(hcp, 'n2')
})
afterAll(async () => {
  await objects.close()
  await versioned.close()
  await hcp.close()
})
beforeEach(() => hcp.clearFaults())

test('without versioning a deleted object is gone, and its name is free', async () => {
  await objects.put('/rest/a', 'one')
  await objects.delete('/rest/a')
  expect(await objects.exists('/rest/a')).toBe(false)
  await objects.put('/rest/a', 'two')
  await objects.delete('/rest/a')
  await expect(objects.delete('/rest/a')).rejects.toThrow(ObjectNotFoundError)
})

test('with versioning old versions stay until they are purged', async () => {
  const { versionId } = await versioned.put('/rest/a', 'one')
  await versioned.put('/rest/a', 'two')
  await versioned.delete('/rest/a')
  expect(await (await versioned.get('/rest/a', { version: versionId! })).text()).toBe('one')
  await versioned.put('/rest/a', 'three')
  await versioned.delete('/rest/a', { purge: true })
  await expect(versioned.get('/rest/a', { version: versionId! })).rejects.toThrow(ObjectNotFoundError)
})

test('one version can be deleted for good', async () => {
  const { versionId } = await versioned.put('/rest/b', 'one')
  await versioned.put('/rest/b', 'two')
  await versioned.delete('/rest/b', { version: versionId! })
  await expect(versioned.head('/rest/b', { version: versionId! })).rejects.toThrow(ObjectNotFoundError)
  expect(await (await versioned.get('/rest/b')).text()).toBe('two')
})

test('so can a range of versions, and all from one on', async () => {
  const ids: string[] = []
  for (const content of ['one', 'two', 'three', 'four'])
    ids.push((await versioned.put('/rest/range', content)).versionId!)
  const left = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const { versionId } of versioned.versions('/rest/range')) found.push(versionId)
    return found
  }
  await versioned.delete('/rest/range', { version: { from: ids[0]!, to: ids[1]! } })
  expect(await left()).toEqual(ids.slice(2))
  await versioned.delete('/rest/range', { version: { from: ids[3]! } })
  expect(await left()).toEqual([ids[2]])
})

test('retention and hold forbid it; a reason overrules retention, nothing overrules a hold', async () => {
  await objects.put('/rest/kept', 'x', { retention: retainFor({ years: 1 }) })
  await expect(objects.delete('/rest/kept')).rejects.toMatchObject({ status: 403 })
  await objects.changeMetadata('/rest/kept', { hold: true })
  const reason = 'court order 12, § 3 & more + “quotes”'
  await expect(objects.delete('/rest/kept', { privileged: { reason } })).rejects.toMatchObject({
    status: 403,
  })
  await objects.changeMetadata('/rest/kept', { hold: false })
  await objects.delete('/rest/kept', { privileged: { reason } })
  expect(await objects.exists('/rest/kept')).toBe(false)
})

test('a deletion whose answer is lost is done, and says so', async () => {
  await objects.put('/rest/lost', 'x')
  hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'DELETE', count: 1 })
  await objects.delete('/rest/lost')
  expect(await objects.exists('/rest/lost')).toBe(false)
})

test('a deletion of nothing is not called done because HCP was busy at first', async () => {
  hcp.addFault({ kind: 'status', when: 'beforeHead', status: 503, method: 'DELETE', count: 1 })
  await expect(objects.delete('/rest/never')).rejects.toThrow(ObjectNotFoundError)
})

test.each<[string, unknown, RegExp]>([
  ['a purge of one version', { purge: true, version: '1' }, /purge is of all versions/],
  ['no reason', { privileged: { reason: '' } }, /1 to 1,024/],
  ['a reason that is too long', { privileged: { reason: 'x'.repeat(1025) } }, /1 to 1,024/],
  ['a reason by itself', { privileged: 'court order 12' }, /must be an object, not string/],
  ['a reason and more', { privileged: { reason: 'x', force: true } }, /unknown option "force"/],
  ['a range as text', { version: '1-5' }, /version id in digits/],
  ['a range without a beginning', { version: { to: '5' } }, /version.from must be/],
  ['a range to nowhere', { version: { from: '0', to: 'list' } }, /version id in digits/],
  ['a condition, which HCP refuses', { ifMatch: 'x' }, /unknown option "ifMatch"/],
])('%s is refused before anything is sent', async (_, options, message) => {
  const before = hcp.requests(0).length
  await expect(objects.delete('/rest/x', options as DeleteOptions)).rejects.toThrow(message)
  expect(hcp.requests(0).length).toBe(before)
})
