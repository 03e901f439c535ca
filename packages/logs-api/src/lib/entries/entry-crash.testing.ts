import { Registry } from 'prom-client'
import { openDatabase } from '../store/open-database.ts'
import { EntryStore } from './entry-store.ts'

// Adds entries until it is killed, and prints the ids of those that were acknowledged, a line each.
const database = await openDatabase(process.argv[2] as string)
const log = { info() {}, warn() {}, error() {} }
const entries = new EntryStore({ database, metrics: new Registry(), log })

async function add(line: number): Promise<void> {
  for (let count = 0; ; count++) {
    const data = `crash ${line} ${count}`
    const given = { dataset_id: `d${line % 5}`, task_id: null, name: 'log', data }
    const ids = count % 4 === 0 ? await entries.addAll([given, given, given]) : [await entries.add(given)]
    for (const id of ids) process.stdout.write(`${id}\n`)
  }
}
await Promise.all(Array.from({ length: 20 }, (_, line) => add(line)))
