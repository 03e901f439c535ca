import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { inPieces, packageFiles, temporaryFolder, zipOf } from './packages.testing.ts'
import { ZipArchive } from './zip-file.ts'
import { ZipStreamCheck } from './zip-stream-check.ts'

async function isWholeFile(file: string, bytes: Buffer): Promise<boolean> {
  await writeFile(file, bytes)
  try {
    const archive = await ZipArchive.open(file, 1000)
    try {
      await archive.verify()
      return true
    } finally {
      archive.close()
    }
  } catch {
    return false
  }
}

async function isWholeStream(bytes: Buffer, size: number): Promise<boolean> {
  const check = new ZipStreamCheck()
  for await (const piece of inPieces(bytes, size)) check.add(piece)
  try {
    check.finish()
    return true
  } catch {
    return false
  }
}

test('a whole ZIP passes, in whatever pieces it comes', async () => {
  await using folder = await temporaryFolder()
  const zip = await zipOf({
    ...(await packageFiles()),
    'HCPLogs-x/stored zip in it': await zipOf({ a: 'b' }),
  })
  expect(await isWholeFile(join(folder.path, 'zip'), zip)).toBe(true)
  for (const size of [1, 2, 3, 7, 1000, zip.length])
    expect([size, await isWholeStream(zip, size)]).toEqual([size, true])
})

test('cut anywhere, followed by anything, doubled or without a part of it, it does not', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'zip')
  const zip = await zipOf(await packageFiles())
  const damage = fc.oneof(
    fc.nat(zip.length - 1).map((at) => zip.subarray(0, at)),
    fc.uint8Array({ minLength: 1, maxLength: 50 }).map((more) => Buffer.concat([zip, more])),
    fc.uint8Array({ minLength: 1, maxLength: 50 }).map((more) => Buffer.concat([more, zip])),
    fc.constant(Buffer.concat([zip, zip])),
    fc
      .tuple(fc.nat(zip.length - 1), fc.integer({ min: 1, max: 500 }))
      .map(([at, length]) => Buffer.concat([zip.subarray(0, at), zip.subarray(at + length)])),
    fc
      .tuple(fc.nat(zip.length), fc.uint8Array({ minLength: 1, maxLength: 50 }))
      .map(([at, more]) => Buffer.concat([zip.subarray(0, at), more, zip.subarray(at)])),
  )
  await fc.assert(
    fc.asyncProperty(damage, async (bytes) => {
      expect(await isWholeStream(bytes, 1000)).toBe(false)
      expect(await isWholeFile(file, bytes)).toBe(false)
    }),
    { numRuns: 300 },
  )
})

test('a changed byte of its content or directory is found in the file', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'zip')
  const zip = await zipOf({ 'HCPLogs-x/manifest.csv': 'a,b\n'.repeat(100), 'HCPLogs-x/1.tar.gz': 'content' })
  const content = zip.indexOf('manifest.csv') + 'manifest.csv'.length
  const directory = zip.indexOf(Buffer.from('PK\u0001\u0002', 'latin1'))
  const names = ['HCPLogs-x/manifest.csv', 'HCPLogs-x/1.tar.gz']
  expect(names.every((name) => zip.includes(name))).toBe(true)
  for (let at = content; at < content + 8; at++) {
    const changed = Buffer.from(zip)
    changed[at] = (changed[at] as number) ^ 0x55
    expect([at, await isWholeFile(file, changed)]).toEqual([at, false])
  }
  // The checksum, both sizes, the length of the name and where the entry is.
  for (const at of [16, 17, 18, 19, 20, 24, 28, 42, 43]) {
    const changed = Buffer.from(zip)
    changed[directory + at] = (changed[directory + at] as number) ^ 0x55
    expect([at, await isWholeFile(file, changed)]).toEqual([at, false])
  }
})

test('a ZIP of nothing is no package', async () => {
  await using folder = await temporaryFolder()
  const nothing = await zipOf({})
  expect(await isWholeFile(join(folder.path, 'zip'), nothing)).toBe(false)
  expect(await isWholeStream(nothing, 100)).toBe(false)
})
