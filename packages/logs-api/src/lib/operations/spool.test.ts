import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { Spool } from './spool.ts'

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'spool-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const add = (id: string): { add: { id: string; project_id: string; operation_type: string } } => ({
  add: { id, project_id: 'p', operation_type: 'x' },
})
const close = (id: string): { close: string; changes: { status: string } } => ({
  close: id,
  changes: { status: 'success' },
})

test('whatever happened before a crash, and wherever it cut the file, what is left is known in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('add', 'close', 'done', 'reopen'), { maxLength: 30 }),
      fc.integer({ min: 0, max: 60 }),
      async (steps, cut) => {
        const folder = await newFolder()
        const path = join(folder, 'journal.jsonl')
        let spool = await Spool.open(folder)
        const open: string[] = []
        const waiting: number[] = []
        let count = 0
        for (const step of steps) {
          if (step === 'add') {
            const id = `log ${count++}`
            const { record, stored } = spool.append(add(id))
            await stored
            open.push(id)
            waiting.push(record.n)
          }
          const id = step === 'close' ? open.shift() : undefined
          if (id !== undefined) {
            const { record, stored } = spool.append(close(id))
            await stored
            waiting.push(record.n)
          }
          const n = step === 'done' ? waiting.shift() : undefined
          if (n !== undefined) await spool.done(n)
          if (step === 'reopen') {
            await spool.close()
            spool = await Spool.open(folder)
          }
        }
        const before = await readFile(path, 'utf8')
        await spool.close()
        // The next write was cut off.
        const next = JSON.stringify({ n: 999, ...add('cut') })
        await writeFile(path, before + next.slice(0, Math.min(cut, next.length - 1)))
        const after = await Spool.open(folder)
        expect(after.waiting.map(({ n }) => n)).toEqual(waiting)
        expect(after.open.toSorted()).toEqual(open.toSorted())
        await after.close()
      },
    ),
    { numRuns: 20 },
  )
})

test('the file does not grow for ever', async () => {
  const folder = await newFolder()
  const spool = await Spool.open(folder)
  spool.append(add('still open'))
  for (let n = 0; n < 400; n++) {
    await spool.done(spool.append(add(`${n}`)).record.n)
    await spool.done(spool.append(close(`${n}`)).record.n)
  }
  const text = await readFile(join(folder, 'journal.jsonl'), 'utf8')
  expect(text.split('\n').length).toBeLessThan(1200)
  await spool.close()
  expect(await readFile(join(folder, 'journal.jsonl'), 'utf8')).toBe(
    `${JSON.stringify({ n: 1, ...add('still open') })}\n`,
  )
})

test('a line that cannot be read is passed over', async () => {
  const folder = await newFolder()
  const spool = await Spool.open(folder)
  await spool.append(add('a')).stored
  await spool.close()
  await appendFile(
    join(folder, 'journal.jsonl'),
    `{"n":2,"ad\n5\nnull\n${JSON.stringify({ n: 3, ...add('b') })}\n`,
  )
  const next = await Spool.open(folder)
  expect(next.open).toEqual(['a', 'b'])
  await next.close()
})
