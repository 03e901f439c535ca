import { HcpResponseError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { answering } from '../../test/answering.ts'
import { clientOf } from '../../test/emulated.ts'
import { headDirectory, makeDirectory, type MakeDirectoryOptions, removeDirectory } from './directories.ts'
import { ObjectConflictError, ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { ObjectRequests } from './object-requests.ts'

let hcp: Emulator
let objects: ObjectClient
let requests: ObjectRequests
beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  requests = new ObjectRequests(objects.connection)
  await objects.put('/rest/d/object', 'x')
  await hcp.addSymlink({ namespace: 'n1.m', path: 'd/link', target: 'full' })
  await objects.put('/rest/d/full/x', 'x')
})
afterAll(async () => {
  await objects.close()
  await hcp.close()
})
beforeEach(() => hcp.clearFaults())

describe('makeDirectory', () => {
  test('makes it and those above it, empty', async () => {
    expect(await makeDirectory(requests, '/rest/d/new/ä b')).toBe(true)
    expect(await headDirectory(requests, '/rest/d/new')).toMatchObject({ type: 'directory' })
    expect(await makeDirectory(requests, '/rest/d/new/%41', { encoded: true })).toBe(true)
    expect(await objects.exists('/rest/d/new/A')).toBe(true)
  })

  test('one that is there is an error, or as good as made', async () => {
    await makeDirectory(requests, '/rest/d/there')
    await expect(makeDirectory(requests, '/rest/d/there')).rejects.toMatchObject({
      name: 'ObjectConflictError',
      conflict: 'occupied',
      status: 409,
      message: expect.stringContaining('existing: "ok"') as string,
    })
    expect(await makeDirectory(requests, '/rest/d/there', { existing: 'ok' })).toBe(false)
  })

  test.each(['error', 'ok'] as const)(
    'an object or link of the name is an error, with existing: %s',
    async (existing) => {
      const object = makeDirectory(requests, '/rest/d/object', { existing })
      await expect(object).rejects.toThrow(ObjectConflictError)
      await expect(object).rejects.toMatchObject({ conflict: 'different', existing: { size: 1 } })
      await expect(makeDirectory(requests, '/rest/d/link', { existing })).rejects.toMatchObject({
        conflict: 'occupied',
      })
    },
  )

  test('a name that is taken and then is not is busy', async () => {
    await using server = await answering((request, response) => {
      response.writeHead(request.method === 'PUT' ? 409 : 404).end()
    })
    await expect(makeDirectory(server.requests, '/rest/d')).rejects.toMatchObject({ conflict: 'busy' })
  })

  test('an answer that is lost is no conflict with itself', async () => {
    hcp.addFault({ kind: 'reset', method: 'PUT', path: '/rest/d/lost', count: 1 })
    expect(await makeDirectory(requests, '/rest/d/lost')).toBe(true)
    expect(await objects.exists('/rest/d/lost')).toBe(true)
  })

  test.each([
    ['is older than the call is not made by it', 'lost', 3_600_000, false],
    ['came up while an answer was lost is', 'lost', 0, true],
    ['came up while HCP was busy is not', 'busy', 0, false],
  ])('a directory in the way of a repetition that %s', async (_, first, age, made) => {
    let puts = 0
    await using server = await answering((request, response) => {
      const now = Date.now()
      const headers = {
        'X-HCP-Type': 'directory',
        'X-HCP-Time': String(Math.floor(now / 1_000)),
        'X-HCP-ChangeTimeMilliseconds': `${now - age}.00`,
      }
      const again = request.method === 'PUT' && puts++ > 0
      if (request.method === 'HEAD') response.writeHead(200, headers).end()
      else if (again) response.writeHead(409, headers).end()
      else if (first === 'busy') response.writeHead(503, headers).end()
      else request.socket.destroy()
    })
    const making = makeDirectory(server.requests, '/rest/d')
    if (made) expect(await making).toBe(true)
    else await expect(making).rejects.toMatchObject({ conflict: 'occupied' })
    expect(puts).toBe(2)
  })

  test.each([{ existing: 'fine' }, { existing: true }])(
    '%j is refused before anything is sent',
    async (options) => {
      const before = hcp.requests().length
      await expect(makeDirectory(requests, '/rest/d/z', options as MakeDirectoryOptions)).rejects.toThrow(
        RangeError,
      )
      expect(hcp.requests()).toHaveLength(before)
    },
  )
})

describe('removeDirectory', () => {
  test('removes an empty one', async () => {
    await makeDirectory(requests, '/rest/d/old')
    await removeDirectory(requests, '/rest/d/old/')
    expect(await objects.exists('/rest/d/old')).toBe(false)
    await makeDirectory(requests, '/rest/d/a b')
    await removeDirectory(requests, '/rest/d/a%20b', { encoded: true })
    expect(await objects.exists('/rest/d/a b')).toBe(false)
  })

  test('one with something in it stays, and the error says why', async () => {
    const removal = removeDirectory(requests, '/rest/d/full')
    await expect(removal).rejects.toThrow(HcpResponseError)
    await expect(removal).rejects.toThrow(/not empty/)
    expect(await objects.exists('/rest/d/full/x')).toBe(true)
  })

  test.each([
    ['an object', '/rest/d/object', /an object, not a directory/],
    ['a link to a directory', '/rest/d/link', /symbolic link/],
  ])('%s is not deleted', async (_, path, words) => {
    const before = hcp.requests().length
    const removal = removeDirectory(requests, path)
    await expect(removal).rejects.toThrow(ObjectNotFoundError)
    await expect(removal).rejects.toThrow(words)
    expect(
      hcp
        .requests()
        .slice(before)
        .map(({ method }) => method),
    ).not.toContain('DELETE')
    expect(await objects.exists(path)).toBe(true)
  })

  test('what does not say that it is a directory is not deleted', async () => {
    const methods: (string | undefined)[] = []
    await using server = await answering((request, response) => {
      methods.push(request.method)
      response.writeHead(200).end()
    })
    await expect(removeDirectory(server.requests, '/rest/d')).rejects.toThrow(ObjectNotFoundError)
    expect(methods).toEqual(['HEAD'])
  })

  test('nothing there is not found', async () => {
    await expect(removeDirectory(requests, '/rest/d/nothing')).rejects.toThrow(ObjectNotFoundError)
  })

  test('an answer that is lost is no failure', async () => {
    await makeDirectory(requests, '/rest/d/lost2')
    hcp.addFault({ kind: 'reset', method: 'DELETE', path: '/rest/d/lost2', count: 1 })
    await removeDirectory(requests, '/rest/d/lost2')
    expect(await objects.exists('/rest/d/lost2')).toBe(false)
  })

  test.each(['/rest', '/rest/', '/rest//'])('the root %s is refused', async (path) => {
    await expect(removeDirectory(requests, path)).rejects.toThrow(RangeError)
  })
})

test('headDirectory tells the time of the last change, and an object from a directory', async () => {
  const { changeTime } = await headDirectory(requests, '/rest/d')
  expect(Math.abs(Date.now() - changeTime!.getTime())).toBeLessThan(60_000)
  await expect(headDirectory(requests, '/rest/d/object')).rejects.toThrow(/an object, not a directory/)
  await expect(headDirectory(requests, '/rest/d/nothing')).rejects.toThrow(ObjectNotFoundError)
  await expect(headDirectory(requests, '/rest/d', { deleted: true } as object)).rejects.toThrow(TypeError)
})
