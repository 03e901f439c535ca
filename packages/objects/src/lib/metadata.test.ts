import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientOf } from '../../test/emulated.ts'
import { ObjectNotFoundError } from './errors.ts'
import { annotationSizes, objectMetadata } from './metadata.ts'
import type { ObjectClient } from './object-client.ts'
import { deletionAllowed, deletionProhibited, initialUnspecified, retainUntil } from './retention.ts'

/** As an HCP of release 8 answers a HEAD. */
const captured: Record<string, string> = {
  etag: '"1deda6a3fe1cdde8832d2b6c8f71e3ef"',
  'content-type': 'text/plain',
  'content-length': '10',
  'x-hcp-type': 'object',
  'x-hcp-size': '10',
  'x-hcp-hash': 'SHA-256 7C73A30C03A912013835111FDC8FDC115184608DD97BA2CB51E5AC0B6B80F0CB',
  'x-hcp-versionid': '108800000007873',
  'x-hcp-ingesttime': '1700000000',
  'x-hcp-ingesttimemilliseconds': '1700000000123',
  'x-hcp-retentionclass': '',
  'x-hcp-retentionstring': 'Deletion Allowed',
  'x-hcp-retention': '0',
  'x-hcp-ingestprotocol': 'HTTP',
  'x-hcp-retentionhold': 'false',
  'x-hcp-shred': 'false',
  'x-hcp-dpl': '2',
  'x-hcp-index': 'true',
  'x-hcp-custom-metadata': 'true',
  'x-hcp-acl': 'false',
  'x-hcp-owner': 'alice',
  'x-hcp-domain': '',
  'x-hcp-uid': '',
  'x-hcp-gid': '',
  'x-hcp-custommetadataannotations': 'ticket;43, .metapairs;0',
  'x-hcp-replicated': 'false',
  'x-hcp-replicationcollision': 'false',
  'x-hcp-changetimemilliseconds': '1700000050201.00',
  'last-modified': 'Tue, 14 Nov 2023 22:14:10 GMT',
}
const read = (more: Record<string, string | undefined> = {}): ReturnType<typeof objectMetadata> => {
  const headers = { ...captured, ...more }
  return objectMetadata({ headers, header: (name) => headers[name] })
}

test('every header has its proper type', () => {
  expect(read()).toEqual({
    type: 'object',
    size: 10,
    contentType: 'text/plain',
    hash: {
      scheme: 'SHA-256',
      hex: '7c73a30c03a912013835111fdc8fdc115184608dd97ba2cb51e5ac0b6b80f0cb',
    },
    etag: '1deda6a3fe1cdde8832d2b6c8f71e3ef',
    versionId: '108800000007873',
    ingestTime: new Date(1_700_000_000_123),
    changeTime: new Date(1_700_000_050_201),
    retention: { kind: 'allowed' },
    retentionClass: undefined,
    hold: false,
    labeledHolds: [],
    shred: false,
    index: true,
    dpl: 2,
    annotations: [
      { name: 'ticket', size: 43 },
      { name: '.metapairs', size: 0 },
    ],
    hasAcl: false,
    owner: 'alice',
    domain: undefined,
    uid: undefined,
    gid: undefined,
    ingestProtocol: 'HTTP',
    replicated: false,
    replicationCollision: false,
    currentStorageNode: undefined,
    symlinkTarget: undefined,
  })
})

test.each<[string, Record<string, string | undefined>, object]>([
  [
    'release 8.2',
    { 'x-hcp-ingesttimemilliseconds': undefined, 'x-hcp-versioncreatetimemilliseconds': '1700000000456' },
    { ingestTime: new Date(1_700_000_000_456) },
  ],
  ['release 7', { 'x-hcp-ingesttimemilliseconds': undefined }, { ingestTime: new Date(1_700_000_000_000) }],
  [
    'no change time',
    { 'x-hcp-changetimemilliseconds': undefined },
    { changeTime: new Date(1_700_000_050_000) },
  ],
  ['an object in parts', { 'x-hcp-hash': undefined, etag: undefined }, { hash: undefined, etag: undefined }],
  [
    'labeled holds',
    { 'x-hcp-labelretentionhold-labels': '[{"id":"case 7","hold":true}]' },
    { labeledHolds: [{ id: 'case 7', hold: true }] },
  ],
  [
    'labeled holds in a form that nobody knows',
    { 'x-hcp-labelretentionhold-labels': 'true' },
    { labeledHolds: [] },
  ],
  ['a hash kind that nobody knows', { 'x-hcp-hash': 'BLAKE3 00' }, { hash: undefined }],
  [
    'retention',
    { 'x-hcp-retention': '1900000000' },
    { retention: { kind: 'until', until: new Date(1_900_000_000_000) } },
  ],
  ['a POSIX owner', { 'x-hcp-uid': '500', 'x-hcp-gid': '-2' }, { uid: 500, gid: -2 }],
  ['a size beyond an object of HCP', { 'x-hcp-size': '5497558138880' }, { size: 5_497_558_138_880 }],
  ['no annotations', { 'x-hcp-custommetadataannotations': undefined }, { annotations: [] }],
])('what %s sends is read', (_, headers, expected) => {
  expect(read(headers)).toMatchObject(expected)
})

test('a list of annotations is read, whatever its blanks', () => {
  expect(annotationSizes('a;1,b;2 , c;3')).toEqual([
    { name: 'a', size: 1 },
    { name: 'b', size: 2 },
    { name: 'c', size: 3 },
  ])
})

describe('on HCP', () => {
  let hcp: Emulator
  let objects: ObjectClient
  beforeAll(async () => {
    hcp = await startEmulator()
    objects = clientOf(hcp)
  })
  afterAll(async () => {
    await objects.close()
    await hcp.close()
  })

  test('each setting can be changed, and nothing else changes with it', async () => {
    await objects.put('/rest/changing', 'x')
    const until = new Date('2041-01-01T00:00:00Z')
    for (const [change, seen] of [
      [{ index: false }, { index: false }],
      [{ shred: true }, { shred: true }],
      [{ hold: true }, { hold: true }],
      [{ hold: false }, { hold: false }],
      [{ owner: null }, { owner: undefined }],
      [{ owner: 'n' }, { owner: 'n' }],
      [{ retention: initialUnspecified }, { retention: initialUnspecified }],
      [
        { retention: retainUntil(until), index: true },
        { retention: { kind: 'until', until }, index: true },
      ],
      [{ retention: deletionProhibited }, { retention: deletionProhibited }],
    ] as const) {
      const { changeTime: _, ...before } = await objects.head('/rest/changing')
      await objects.changeMetadata('/rest/changing', change)
      const { changeTime: _later, ...after } = await objects.head('/rest/changing')
      expect(after).toEqual({ ...before, ...seen })
    }
    await expect(
      objects.changeMetadata('/rest/changing', { retention: deletionAllowed }),
    ).rejects.toMatchObject({ status: 400 })
    await expect(objects.delete('/rest/changing')).rejects.toMatchObject({ status: 403 })
    await objects.delete('/rest/changing', { privileged: { reason: 'end of the test' } })
    await expect(objects.head('/rest/changing')).rejects.toThrow(ObjectNotFoundError)
  })

  test('holds by label are set and released one by one, and keep the object until the last is gone', async () => {
    await objects.put('/rest/held', 'x', { labeledHolds: [{ id: 'case 7', hold: true }] })
    await objects.changeMetadata('/rest/held', {
      labeledHolds: [
        { id: 'case 8', hold: true },
        { id: 'case 7', hold: false },
      ],
    })
    const held = (await objects.head('/rest/held')).labeledHolds.filter(({ hold }) => hold)
    expect(held).toEqual([{ id: 'case 8', hold: true }])
    await expect(objects.delete('/rest/held')).rejects.toMatchObject({ status: 403 })
    await objects.changeMetadata('/rest/held', { labeledHolds: [{ id: 'case 8', hold: false }] })
    await objects.delete('/rest/held')
  })

  test.each<[string, object, RegExp]>([
    ['nothing', {}, /nothing to change/],
    ['retention and a hold at once', { retention: deletionAllowed, hold: true }, /make two/],
    ['a domain without its owner', { domain: 'ad' }, /goes with an owner/],
    ['a setting that nobody knows', { dpl: 2 }, /unknown option "dpl"/],
    ['an owner without a name', { owner: '' }, /null for nobody/],
  ])('%s is refused before anything is sent', async (_, changes, message) => {
    const before = hcp.requests(0).length
    await expect(objects.changeMetadata('/rest/x', changes)).rejects.toThrow(message)
    expect(hcp.requests(0).length).toBe(before)
  })

  test('a refusal is not taken for the repetition of a change, of which only a part is so already', async () => {
    await objects.put('/rest/partly', 'x', { retention: deletionProhibited, shred: true })
    hcp.addFault({ kind: 'status', status: 503, method: 'POST', count: 1 })
    const changing = objects.changeMetadata('/rest/partly', { retention: deletionProhibited, shred: false })
    await expect(changing).rejects.toMatchObject({ status: 400, attempts: 2 })
    expect((await objects.head('/rest/partly')).shred).toBe(true)
  })

  test('a change that is lost on its way back is made again where that does no harm', async () => {
    await objects.put('/rest/lost', 'x')
    hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'POST', count: 1 })
    await objects.changeMetadata('/rest/lost', { hold: true })
    expect((await objects.head('/rest/lost')).hold).toBe(true)
    await objects.changeMetadata('/rest/lost', { hold: false })
    hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'POST', count: 1 })
    // HCP refuses this one the second time, since it can never be changed again.
    await objects.changeMetadata('/rest/lost', { retention: deletionProhibited })
    await expect(
      objects.changeMetadata('/rest/lost', { retention: retainUntil(new Date('2040-01-01T00:00:00Z')) }),
    ).rejects.toMatchObject({ status: 400 })
    hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'POST', count: 1 })
    await objects.put('/rest/longer', 'x')
    const longer = objects.changeMetadata('/rest/longer', {
      retention: { kind: 'offset', base: 'current', years: 1 },
    })
    await expect(longer).rejects.toMatchObject({ code: 'HCP_SOCKET', sent: true })
    await hcp.clearFaults()
  })
})
