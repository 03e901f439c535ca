import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Journal, type JournalSubject } from './journal.ts'
import { JournalError } from './transfer-errors.ts'

let folder: string
let number = 0
const fresh = (): string => join(folder, `${number++}.jsonl`)
const subject: JournalSubject = { transfer: 'test', path: '/rest/a', size: 7 }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hcp-journal-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function records(file: string, of: JournalSubject = subject): Promise<unknown[]> {
  const found: unknown[] = []
  const journal = await Journal.open(file, of, (record) => found.push(record))
  await journal.close()
  return found
}

const refusal = (file: string, of: JournalSubject = subject): Promise<unknown> =>
  Journal.open(file, of, () => {}).then(
    (journal) => journal.close(),
    (error: unknown) => error,
  )

test('what was noted and committed comes back in order, over several runs', async () => {
  const file = fresh()
  for (let run = 0; run < 3; run++) {
    const journal = await Journal.open(file, subject, () => {})
    journal.note({ run, name: 'noted' })
    await Promise.all([1, 2, 3].map((number) => journal.commit({ run, number })))
    await journal.close()
  }
  const found = await records(file)
  expect(found).toHaveLength(12)
  expect(found.slice(4, 8)).toEqual([
    { run: 1, name: 'noted' },
    { run: 1, number: 1 },
    { run: 1, number: 2 },
    { run: 1, number: 3 },
  ])
})

test('a journal cut off at any byte gives all records that are whole, and can be written on', async () => {
  const file = fresh()
  const journal = await Journal.open(file, subject, () => {})
  const all = [{ file: 'ä\n"x"' }, { file: 'b' }, { file: '\u2028' }]
  for (const record of all) journal.note(record)
  await journal.close()
  const whole = await readFile(file)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (length) => {
      await writeFile(file, whole)
      await truncate(file, length)
      const lines = whole.subarray(0, length).filter((byte) => byte === 10).length
      const expected = all.slice(0, Math.max(0, lines - 1))
      expect(await records(file)).toEqual(expected)
      const again = await Journal.open(file, subject, () => {})
      await again.commit({ file: 'later' })
      await again.close()
      expect(await records(file)).toEqual([...expected, { file: 'later' }])
    }),
    { numRuns: 60 },
  )
})

test('a last line of nonsense, as a failure of the machine leaves it, is dropped', async () => {
  const file = fresh()
  const journal = await Journal.open(file, subject, () => {})
  await journal.commit({ a: 1 })
  await journal.close()
  await appendFile(file, `${'\0'.repeat(50)}\n${'\0'.repeat(10)}`)
  expect(await records(file)).toEqual([{ a: 1 }])
  expect(await readFile(file, 'utf8')).not.toContain('\0')
})

test('damage in the middle is told by its line, and nothing is written', async () => {
  const file = fresh()
  const content = `${JSON.stringify(subject)}\n{"a":1}\n{"a":\n{"a":3}\n`
  await writeFile(file, content)
  const error = (await refusal(file)) as JournalError
  expect(error).toBeInstanceOf(JournalError)
  expect(error).toMatchObject({ code: 'HCP_JOURNAL', problem: 'damaged', file })
  expect(error.message).toContain('line 3')
  expect(await readFile(file, 'utf8')).toBe(content)
})

test('the journal of another transfer is refused and says what differs', async () => {
  const file = fresh()
  await records(file)
  const error = (await refusal(file, { ...subject, path: '/rest/b' })) as JournalError
  expect(error.problem).toBe('other')
  expect(error.message).toContain('path "/rest/a" instead of "/rest/b"')
  expect(error.message).not.toContain('size')
})

test.each(['some text', 'a,b\nc,d\n', '{"name":"package"}\n'])(
  'a file that is no journal is refused and left as it is: %j',
  async (content) => {
    const file = fresh()
    await writeFile(file, content)
    expect(await refusal(file)).toMatchObject({ problem: 'damaged' })
    expect(await readFile(file, 'utf8')).toBe(content)
  },
)

test('an open journal is nobody else’s, and is free again when it is closed', async () => {
  const file = fresh()
  const journal = await Journal.open(file, subject, () => {})
  expect(await refusal(file)).toMatchObject({ problem: 'busy' })
  await journal.close()
  expect(await refusal(file)).toBeUndefined()
})

test('a folder that is not there is told as what the system said', async () => {
  expect(await refusal(join(folder, 'none', 'x'))).toMatchObject({
    problem: 'system',
    cause: { code: 'ENOENT' },
  })
})

test.skipIf(process.platform !== 'linux')(
  'a file that never comes to the end of a line is no journal',
  async () => {
    expect(await refusal('/dev/full')).toMatchObject({ problem: 'damaged' })
  },
)
