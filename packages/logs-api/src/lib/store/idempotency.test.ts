import { startPostgres } from '@hcp/postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from './database.ts'
import { IdempotencyKeys } from './idempotency.ts'
import { openDatabase } from './open-database.ts'

const answer = {
  status: 201,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{"ü":"\0\xff"}', 'latin1'),
}

describe.each(['sqlite', 'postgres'])('keys of requests on %s', (dialect) => {
  let database: Database
  let postgres: Awaited<ReturnType<typeof startPostgres>> | undefined
  beforeAll(async () => {
    if (dialect === 'postgres') postgres = await startPostgres()
    database = await openDatabase(postgres === undefined ? 'sqlite::memory:' : await postgres.database())
  }, 30_000)
  afterAll(async () => {
    await database?.close()
    await postgres?.[Symbol.asyncDispose]()
  })

  let number = 0
  const request = (over: object = {}) => ({
    caller: 'olga',
    key: `key-${number}`,
    route: 'POST /logs',
    bodyHash: 'aa' as string | undefined,
    ...over,
  })
  const next = () => number++

  test('a request is done by one of those that send it at the same time', async () => {
    next()
    const keys = new IdempotencyKeys(database)
    const claims = await Promise.all(Array.from({ length: 8 }, () => keys.claim(request())))
    expect(claims.filter(({ state }) => state === 'ours')).toHaveLength(1)
    expect(claims.filter(({ state }) => state === 'running')).toHaveLength(7)
  })

  test('the answer is given again, byte for byte, and only for the same request of the same caller', async () => {
    next()
    const keys = new IdempotencyKeys(database)
    await keys.claim(request())
    await keys.complete(request(), 'aa', answer)
    expect(await keys.claim(request())).toEqual({ state: 'done', bodyHash: 'aa', answer })
    expect(await keys.claim(request({ bodyHash: undefined }))).toMatchObject({ state: 'done' })
    expect(await keys.claim(request({ bodyHash: 'bb' }))).toEqual({ state: 'other' })
    expect(await keys.claim(request({ route: 'POST /v2/operations' }))).toEqual({ state: 'other' })
    expect(await keys.claim(request({ caller: 'otto' }))).toMatchObject({ state: 'ours' })
  })

  test('what a dead process left is taken over by one, with the time of the first claim', async () => {
    next()
    const dead = new IdempotencyKeys(database, { claimSeconds: 0 })
    const keys = new IdempotencyKeys(database)
    const first = await dead.claim(request())
    expect(first).toMatchObject({ state: 'ours' })
    expect(await keys.claim(request({ bodyHash: 'bb' }))).toEqual({ state: 'other' })
    const claims = await Promise.all(Array.from({ length: 8 }, () => keys.claim(request())))
    expect(claims.filter(({ state }) => state === 'ours')).toEqual([first])
    expect(claims.filter(({ state }) => state === 'running')).toHaveLength(7)
  })

  test('whoever gives signs of life keeps the request; who lets go leaves it to the next, with the first time', async () => {
    next()
    const keys = new IdempotencyKeys(database)
    const others = new IdempotencyKeys({ ...database, holder: 'another process' })
    const first = await new IdempotencyKeys(database, { claimSeconds: 0 }).claim(request())
    await keys.renew(request())
    expect(await others.claim(request())).toEqual({ state: 'running' })
    await keys.release(request())
    expect(await others.claim(request())).toEqual(first)
  })

  test('a claim that the store failed to give back is open again to the same process at once', async () => {
    next()
    let failing = false
    const keys = new IdempotencyKeys({
      ...database,
      get write() {
        if (failing) throw new Error('down')
        return database.write
      },
    })
    const first = await keys.claim(request())
    expect(await keys.claim(request())).toEqual({ state: 'running' })
    failing = true
    await expect(keys.release(request())).rejects.toThrow('down')
    failing = false
    expect(await keys.claim(request({ bodyHash: 'bb' }))).toEqual({ state: 'other' })
    expect(await keys.claim(request())).toEqual(first)
    expect(await keys.claim(request())).toEqual({ state: 'running' })
  })

  test('answers are forgotten after their time, and then removed; others stay', async () => {
    next()
    const keys = new IdempotencyKeys(database)
    const short = new IdempotencyKeys(database, { keepSeconds: 0 })
    const first = await short.claim(request())
    await short.complete(request(), 'aa', answer)
    const again = await keys.claim(request({ bodyHash: 'bb', route: 'POST /v1/logs' }))
    expect(again.state).toBe('ours')
    expect(again).not.toEqual(first)
    await keys.complete(request(), 'bb', answer)

    const kept = request()
    next()
    await short.claim(request())
    await short.complete(request(), 'aa', answer)
    await keys.purge()
    const left = await database.read
      .selectFrom('idempotency_keys')
      .select('key')
      .where('key', 'in', [kept.key, request().key])
      .execute()
    expect(left).toEqual([{ key: kept.key }])
  })
})
