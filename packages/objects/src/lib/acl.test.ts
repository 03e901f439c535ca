import { HcpProtocolError, HcpResponseError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answering } from '../../test/answering.ts'
import { clientOf } from '../../test/emulated.ts'
import { allUsers, authenticated, deleteAcl, getAcl, type Grant, hasAcl, putAcl } from './acl.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { ObjectRequests } from './object-requests.ts'

let hcp: Emulator
let objects: ObjectClient
let requests: ObjectRequests
beforeAll(async () => {
  hcp = await startEmulator({
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [{ name: 'n1', aclUsage: 'ENFORCED' }, { name: 'n2' }],
          users: [
            { user: 'n', password: 'n01' },
            { user: 'bob', password: 'b01' },
          ],
        },
      ],
    },
  })
  objects = clientOf(hcp)
  requests = new ObjectRequests(objects.connection)
  await objects.put('/rest/a', 'x')
})
afterAll(async () => {
  await objects.close()
  await hcp.close()
})

const bob = { type: 'user', name: 'bob' } as const

test('a list is stored, read, replaced and deleted', async () => {
  expect(await hasAcl(requests, '/rest/a')).toBe(false)
  expect(await getAcl(requests, '/rest/a')).toEqual([])
  const grants: Grant[] = [
    { grantee: bob, permissions: ['READ', 'READ_ACL', 'WRITE', 'WRITE_ACL', 'DELETE'] },
    { grantee: allUsers, permissions: ['READ'] },
    { grantee: authenticated, permissions: ['READ', 'WRITE'] },
  ]
  await putAcl(requests, '/rest/a', grants)
  expect(await hasAcl(requests, '/rest/a')).toBe(true)
  expect(await getAcl(requests, '/rest/a')).toEqual(grants)
  await putAcl(requests, '/rest/a', grants.slice(0, 1))
  expect(await getAcl(requests, '/rest/a')).toEqual(grants.slice(0, 1))
  await deleteAcl(requests, '/rest/a')
  expect(await getAcl(requests, '/rest/a')).toEqual([])
  await deleteAcl(requests, '/rest/a')
})

test('a predefined list comes with the object', async () => {
  await objects.put('/rest/public', 'x', { acl: 'all_read' })
  await objects.put('/rest/shared', 'x', { acl: 'auth_read' })
  expect(await objects.acl('/rest/public')).toEqual([{ grantee: allUsers, permissions: ['READ'] }])
  expect(await objects.acl('/rest/shared')).toEqual([{ grantee: authenticated, permissions: ['READ'] }])
  expect((await objects.head('/rest/public')).hasAcl).toBe(true)
})

test('no object, no list; no ACLs in the namespace, an error that says so', async () => {
  for (const method of [hasAcl, getAcl, deleteAcl]) {
    await expect(method(requests, '/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
  }
  const grants: Grant[] = [{ grantee: allUsers, permissions: ['READ'] }]
  await expect(putAcl(requests, '/rest/nothing', grants)).rejects.toThrow(ObjectNotFoundError)
  await using without = clientOf(hcp, 'n2')
  await without.put('/rest/a', 'x')
  const storing = putAcl(new ObjectRequests(without.connection), '/rest/a', grants)
  await expect(storing).rejects.toThrow(HcpResponseError)
  await expect(storing).rejects.toThrow(/must have ACLs enabled/)
})

describe('answers', () => {
  const read = async (body: string, status = 200): Promise<readonly Grant[]> => {
    await using server = await answering((_, response) => {
      response
        .writeHead(status, { 'Content-Type': 'application/json' })
        .end(status === 204 ? undefined : body)
    })
    return await getAcl(server.requests, '/rest/a')
  }
  const grant: Grant = { grantee: { ...bob, domain: 'ad.example.com' }, permissions: ['READ'] }
  const { grantee } = grant

  test.each<[string, unknown, readonly Grant[]]>([
    ['lists', { grant: [{ grantee, permissions: { permission: ['READ'] } }] }, [grant]],
    ['single items', { grant: { grantee, permissions: { permission: 'READ' } } }, [grant]],
    [
      'an empty domain',
      { grant: { grantee: { ...bob, domain: '' }, permissions: { permission: 'READ' } } },
      [{ grantee: bob, permissions: ['READ'] }],
    ],
    ['no permissions', { grant: [{ grantee, permissions: {} }] }, [{ grantee, permissions: [] }]],
    ['no grants', {}, []],
    ['an empty list', { grant: [] }, []],
    ['nothing', { grant: null }, []],
    ['an empty text', { grant: '' }, []],
  ])('with %s are read alike', async (_, document, grants) => {
    expect(await read(JSON.stringify(document))).toEqual(grants)
  })

  test.each([200, 204])('without content are empty lists (%i)', async (status) => {
    expect(await read('', status)).toEqual([])
  })

  test.each([
    ['XML', '<accessControlList/>'],
    ['cut short', '{"grant":['],
    ['no object', '[]'],
    ['without a grantee', '{"grant":[{"permissions":{"permission":"READ"}}]}'],
    ['with a grantee that is none', '{"grant":[{"grantee":{"type":"robot","name":"x"}}]}'],
    [
      'with a permission that nobody knows',
      '{"grant":[{"grantee":{"type":"user","name":"x"},"permissions":{"permission":"FLY"}}]}',
    ],
    ['without end', `"${'a'.repeat(5_000_000)}`],
  ])('%s are errors', async (_, body) => {
    await expect(read(body)).rejects.toThrow(HcpProtocolError)
  })
})

test.each<[string, unknown, typeof TypeError | typeof RangeError, string]>([
  ['no list', { grantee: bob }, TypeError, 'array'],
  ['nothing', [], RangeError, 'deleteAcl'],
  [
    'too many',
    Array.from({ length: 1_001 }, (_, index) => ({
      grantee: { type: 'user', name: `u${index}` },
      permissions: ['READ'],
    })),
    RangeError,
    '1000',
  ],
  ['no grant', [null], TypeError, 'object'],
  [
    'an unknown property',
    [{ grantee: bob, permissions: ['READ'], permission: 'READ' }],
    TypeError,
    '"permission"',
  ],
  ['no grantee', [{ permissions: ['READ'] }], TypeError, 'grantee'],
  [
    'an unknown property of a grantee',
    [{ grantee: { ...bob, realm: 'x' }, permissions: ['READ'] }],
    TypeError,
    '"realm"',
  ],
  [
    'a type that is none',
    [{ grantee: { type: 'robot', name: 'x' }, permissions: ['READ'] }],
    RangeError,
    'type',
  ],
  ['an empty name', [{ grantee: { type: 'user', name: '' }, permissions: ['READ'] }], RangeError, 'name'],
  ['a domain that is none', [{ grantee: { ...bob, domain: 5 }, permissions: ['READ'] }], TypeError, 'domain'],
  [
    'a grantee twice',
    [
      { grantee: bob, permissions: ['READ'] },
      { grantee: { ...bob }, permissions: ['WRITE'] },
    ],
    RangeError,
    'twice',
  ],
  [
    'a grantee twice, in another case of its domain',
    ['AD', 'ad'].map((domain) => ({ grantee: { ...bob, domain }, permissions: ['READ'] })),
    RangeError,
    'twice',
  ],
  ['no permissions', [{ grantee: bob, permissions: [] }], RangeError, 'empty'],
  ['permissions that are no list', [{ grantee: bob, permissions: 'READ' }], TypeError, 'array'],
  ['a permission that is none', [{ grantee: bob, permissions: ['read'] }], RangeError, 'read'],
  ['a permission twice', [{ grantee: bob, permissions: ['READ', 'READ'] }], RangeError, 'twice'],
])('grants with %s are refused before anything is sent', async (_, grants, type, words) => {
  const before = hcp.requests().length
  const storing = putAcl(requests, '/rest/a', grants as Grant[])
  await expect(storing).rejects.toThrow(type)
  await expect(storing).rejects.toThrow(words)
  expect(hcp.requests()).toHaveLength(before)
})
