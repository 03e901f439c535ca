// The database's own batched insert, a program of its own: `fill.ts URL FIRST COUNT`. Rows are made before the time is taken, as far as
// memory allows: in portions of 100,000. Prints the rows per second.
import { DatabaseSync } from 'node:sqlite'
import { openDatabase } from '@hcp/logs-api'
import { Client } from 'pg'
import { columns, type SampleRow, sampleRow } from './rows.ts'

const [url = '', firstText, countText] = process.argv.slice(2)
const first = Number(firstText)
const count = Number(countText)
const portion = 100_000
/** Rows of a transaction. */
const batch = 1000

type Insert = (rows: readonly SampleRow[]) => Promise<void>

const opened = await openDatabase(url)
await opened.close()

let spent = 0
await withInsert(async (insert) => {
  for (let at = first; at < first + count; at += portion) {
    const length = Math.min(portion, first + count - at)
    const rows = Array.from({ length }, (_, index) => sampleRow(at + index))
    const began = performance.now()
    for (let start = 0; start < rows.length; start += batch) await insert(rows.slice(start, start + batch))
    spent += performance.now() - began
  }
})
console.log(JSON.stringify({ rate: (count / spent) * 1000 }))

async function withInsert(work: (insert: Insert) => Promise<void>): Promise<void> {
  if (url.startsWith('sqlite:')) {
    const database = new DatabaseSync(url.slice('sqlite:'.length))
    database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536')
    const entry = database.prepare(
      `insert into entries (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`,
    )
    const words = database.prepare('insert into entry_words (rowid, words) values (?, ?)')
    await work(async (rows) => {
      database.exec('begin immediate')
      for (const row of rows) {
        const { lastInsertRowid } = entry.run(...row)
        words.run(lastInsertRowid, row[7])
      }
      database.exec('commit')
    })
    database.close()
    return
  }
  const client = new Client({ connectionString: url })
  await client.connect()
  const types = ['int', 'text', 'text', 'text', 'text', 'bigint', 'bigint', 'text']
  const names = columns.join(', ')
  const lists = types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')
  const text = `insert into entries (${names}, words) select ${names}, to_tsvector('simple', data) from unnest(${lists}) as row (${names})`
  await work(async (rows) => {
    const values = columns.map((_, index) => rows.map((row) => row[index]))
    await client.query({ name: 'fill', text, values })
  })
  await client.query('analyze entries')
  await client.end()
}
