import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, createGunzip } from 'node:zlib'
import { LogPackageError } from '@hcp/mapi-logs'
import { extract, type Header } from 'tar-stream'
import { expect, test } from 'vitest'
import { repack } from './repack.ts'

const never = new AbortController().signal

async function folder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'repack-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A ZIP of files as they are, with names as they are. */
function zipOf(files: readonly (readonly [name: string, content: Buffer, mode?: number])[]): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const [name, content, mode = 0o100644] of files) {
    const path = Buffer.from(name)
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt16LE(0x0800, 2)
    facts.writeUInt16LE(0x5621, 8) // 2023-01-01
    facts.writeUInt32LE(crc32(content), 10)
    facts.writeUInt32LE(content.length, 14)
    facts.writeUInt32LE(content.length, 18)
    facts.writeUInt16LE(path.length, 22)
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), facts, path, content])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE((mode << 16) >>> 0, 6)
    rest.writeUInt32LE(at, 10)
    directory.push(Buffer.from('PK\u0001\u0002'), Buffer.from([20, 3]), facts, rest, path)
    locals.push(local)
    at += local.length
  }
  const entries = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(files.length, 4)
  end.writeUInt16LE(files.length, 6)
  end.writeUInt32LE(entries.length, 8)
  end.writeUInt32LE(at, 12)
  return Buffer.concat([...locals, entries, Buffer.from('PK\u0005\u0006'), end])
}

async function entriesOf(file: string): Promise<{ header: Header; content: Buffer }[]> {
  const found: { header: Header; content: Buffer }[] = []
  const archive = extract()
  createReadStream(file).pipe(createGunzip()).pipe(archive)
  for await (const entry of archive) {
    const pieces: Buffer[] = []
    for await (const piece of entry as AsyncIterable<Buffer>) pieces.push(piece)
    found.push({ header: entry.header, content: Buffer.concat(pieces) })
  }
  return found
}

test('each file of the ZIP is in the tar.gz, byte by byte, in its order, and the same ZIP gives the same bytes', async () => {
  await using home = await folder()
  const long = `${'deep/'.repeat(60)}end.log`
  const files = [
    ['top/manifest.csv', Buffer.from('a,b\n')],
    ['top/empty', Buffer.alloc(0)],
    [`top/${long}`, Buffer.from('long')],
    ['top/ümlaut.bin', Buffer.alloc(300_001, 7)],
    ['./top//doubled', Buffer.from('x')],
  ] as const
  const zip = join(home.path, 'a.zip')
  await writeFile(zip, zipOf(files))
  const made = await repack(zip, join(home.path, 'a.tar.gz'), never)
  const again = await repack(zip, join(home.path, 'b.tar.gz'), never)
  expect(again).toEqual(made)
  const bytes = await readFile(join(home.path, 'a.tar.gz'))
  expect(made).toEqual({ size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
  const entries = await entriesOf(join(home.path, 'a.tar.gz'))
  expect(entries.map(({ header }) => header.name)).toEqual([
    'top/manifest.csv',
    'top/empty',
    `top/${long}`,
    'top/ümlaut.bin',
    'top/doubled',
  ])
  for (const [index, { header, content }] of entries.entries()) {
    expect(content.equals(files[index]![1])).toBe(true)
    expect(header).toMatchObject({ type: 'file', mode: 0o644, uid: 0, gid: 0 })
  }
})

test.each(['../out', 'a/../../out', '/etc/passwd', 'C:/x', 'a\\..\\b', 'a\u0007b', '..'])(
  'the name %j is refused, and no archive is left to be taken for one',
  async (name) => {
    await using home = await folder()
    const zip = join(home.path, 'a.zip')
    await writeFile(
      zip,
      zipOf([
        ['good', Buffer.from('1')],
        [name, Buffer.from('2')],
      ]),
    )
    await expect(repack(zip, join(home.path, 'a.tar.gz'), never)).rejects.toBeInstanceOf(LogPackageError)
  },
)

test('a name that comes twice is refused, a link is left out', async () => {
  await using home = await folder()
  const zip = join(home.path, 'a.zip')
  await writeFile(
    zip,
    zipOf([
      ['a', Buffer.from('1')],
      ['./a', Buffer.from('2')],
    ]),
  )
  await expect(repack(zip, join(home.path, 'a.tar.gz'), never)).rejects.toThrow('twice')
  const linked = zipOf([
    ['a', Buffer.from('1')],
    ['l', Buffer.from('/etc'), 0o120777],
  ])
  await writeFile(zip, linked)
  await repack(zip, join(home.path, 'b.tar.gz'), never)
  expect((await entriesOf(join(home.path, 'b.tar.gz'))).map(({ header }) => header.name)).toEqual(['a'])
})

test('content with another checksum is an error, and so is a file that is there', async () => {
  await using home = await folder()
  const zip = join(home.path, 'a.zip')
  const bytes = zipOf([['a', Buffer.from('a text that is long enough to be changed')]])
  bytes[40]! ^= 1
  await writeFile(zip, bytes)
  await expect(repack(zip, join(home.path, 'a.tar.gz'), never)).rejects.toBeInstanceOf(LogPackageError)
  await writeFile(zip, zipOf([['a', Buffer.from('1')]]))
  await writeFile(join(home.path, 'there.tar.gz'), '')
  await expect(repack(zip, join(home.path, 'there.tar.gz'), never)).rejects.toMatchObject({ code: 'EEXIST' })
})

test('an abort ends it with its reason', async () => {
  await using home = await folder()
  const zip = join(home.path, 'a.zip')
  await writeFile(zip, zipOf([['a', Buffer.alloc(20_000_000)]]))
  const abort = new AbortController()
  const reason = new Error('enough')
  const packing = repack(zip, join(home.path, 'a.tar.gz'), abort.signal, () => abort.abort(reason))
  await expect(packing).rejects.toBe(reason)
  await access(zip)
})

test('memory stays where it is, however large the package', async () => {
  await using home = await folder()
  const zip = join(home.path, 'a.zip')
  // HCP_EXPORT_MEBIBYTES makes it as large as one likes.
  const mebibytes = Number(process.env['HCP_EXPORT_MEBIBYTES'] ?? 192)
  const piece = Buffer.alloc(64 * 1024 * 1024, 'log ')
  const files = Array.from({ length: Math.ceil(mebibytes / 64) }, (_, index) => [`f${index}`, piece] as const)
  await writeFile(zip, zipOf(files))
  const begin = process.memoryUsage().rss
  let most = 0
  await repack(zip, join(home.path, 'a.tar.gz'), never, () => {
    most = Math.max(most, process.memoryUsage().rss - begin)
  })
  expect(most).toBeLessThan(100 * 1024 * 1024)
})
