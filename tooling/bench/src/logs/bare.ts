// Bare fastify that stores each entry it is sent by an insert of its own: `bare.ts URL`. Prints its port.
import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { openDatabase } from '@hcp/logs-api'
import fastify from 'fastify'
import { Pool } from 'pg'
import { bucketOf, columns, type SampleEntry, type SampleRow } from './rows.ts'

const url = process.argv[2] ?? ''
const opened = await openDatabase(url)
await opened.close()

const insert = url.startsWith('sqlite:') ? intoSqlite() : intoPostgres()
const app = fastify()
app.post('/logs', async (request, reply) => {
  const { dataset_id, task_id, name, data } = request.body as SampleEntry
  const time = Date.now() * 1000
  const id = randomBytes(16).toString('hex')
  await insert([bucketOf(dataset_id), id, dataset_id, task_id, name, time, time, data])
  return reply.code(201).send({ result: id })
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })
console.log(JSON.stringify({ url: address }))

function intoSqlite(): (row: SampleRow) => Promise<void> | void {
  const database = new DatabaseSync(url.slice('sqlite:'.length))
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536')
  const entry = database.prepare(
    `insert into entries (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`,
  )
  const words = database.prepare('insert into entry_words (rowid, words) values (?, ?)')
  return (row) => {
    database.exec('begin immediate')
    const { lastInsertRowid } = entry.run(...row)
    words.run(lastInsertRowid, row[7])
    database.exec('commit')
  }
}

function intoPostgres(): (row: SampleRow) => Promise<void> {
  const pool = new Pool({ connectionString: url, max: 10 })
  const places = columns.map((_, index) => `$${index + 1}`).join(', ')
  const text = `insert into entries (${columns.join(', ')}, words) values (${places}, to_tsvector('simple', $8))`
  return async (row) => void (await pool.query({ name: 'insert', text, values: row }))
}
