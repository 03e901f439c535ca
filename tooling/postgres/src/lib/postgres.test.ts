import { expect, test } from 'vitest'
import { Client } from 'pg'
import { startPostgres } from './postgres.ts'

test('what was committed is there after the server was killed and started again', async () => {
  await using postgres = await startPostgres()
  const url = await postgres.database()
  const before = new Client({ connectionString: url })
  await before.connect()
  before.on('error', () => {})
  await before.query('create table t as select 7 as n')
  await postgres.kill()
  await postgres.start()
  const after = new Client({ connectionString: url })
  await after.connect()
  expect((await after.query('select n from t')).rows).toEqual([{ n: 7 }])
  await after.end()
})
