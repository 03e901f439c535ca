import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { derived, findFiles, makeFile } from './files.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-files-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('finds regular files in all folders below, with their sizes, and follows no links', async () => {
  await mkdir(join(folder, 'a/b'), { recursive: true })
  await mkdir(join(folder, 'node_modules/x'), { recursive: true })
  await writeFile(join(folder, 'a/b/ü.txt'), 'four')
  await writeFile(join(folder, 'a/empty'), '')
  await writeFile(join(folder, '.hidden'), '1')
  await writeFile(join(folder, 'node_modules/x/index.js'), '1')
  await symlink(folder, join(folder, 'a/loop'))
  await symlink(join(folder, '.hidden'), join(folder, 'a/link'))

  const all = await findFiles(folder)
  expect(all.files.map(({ name, size }) => [name, size])).toEqual([
    ['.hidden', 1],
    ['a/b/ü.txt', 4],
    ['a/empty', 0],
    ['node_modules/x/index.js', 1],
  ])
  expect(all.files[1]?.path).toBe(join(folder, 'a/b/ü.txt'))
  expect(all.unreadable).toEqual([])
  const own = await findFiles(folder, derived)
  expect(own.files.map(({ name }) => name)).toEqual(['.hidden', 'a/b/ü.txt', 'a/empty'])
})

test.skipIf(process.platform !== 'linux')('tells which files cannot be opened', async () => {
  // A name that is not UTF-8: Node cannot give it back as text.
  await writeFile(Buffer.concat([Buffer.from(`${folder}/bad-`), Buffer.from([0xff])]), 'x')
  await writeFile(join(folder, 'good'), 'x')
  const { files, unreadable } = await findFiles(folder)
  expect(files.map(({ name }) => name)).toEqual(['good'])
  expect(unreadable).toEqual(['bad-\ufffd'])
})

test('makes files of exactly the size asked for, and overwrites none', async () => {
  const size = 1024 * 1024 + 1
  const file = await makeFile(folder, 'large', size)
  expect(file).toEqual({ path: join(folder, 'large'), name: 'large', size })
  expect((await stat(file.path)).size).toBe(size)
  await expect(makeFile(folder, 'large', 1)).rejects.toThrow('EEXIST')
})
