import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ZipFile } from 'yazl'
import { samples } from './compressed.testing.ts'
import type { Bytes } from './bytes.ts'
import { entryName } from './entry-name.ts'
import { LogPackageError, LogsFileError } from './errors.ts'
import { type LogFile, LogPackage } from './log-package.ts'
import { readManifest } from './manifest.ts'
import { bytesOf, line, packageFiles, tarOf, temporaryFolder, writeZip, zipOf } from './packages.testing.ts'

const top = 'HCPLogs-hcp1.test-20210503-0815'

/** Every file's path and content, as text, and the places of what could not be read. */
async function contentsOf(file: string): Promise<{ files: Map<string, string>; errors: LogPackageError[] }> {
  await using logs = await LogPackage.open(file)
  const files = new Map<string, string>()
  const errors: LogPackageError[] = []
  for await (const entry of logs.files({ onError: (error) => errors.push(error) })) {
    try {
      files.set(entry.path, (await bytesOf(entry)).toString())
    } catch (error) {
      if (!(error instanceof LogPackageError)) throw error
      errors.push(error)
    }
  }
  return { files, errors }
}

describe('a package as HCP makes it', () => {
  test('nodes are those of the manifest, rows of what is no node left out', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    await writeZip(file, await packageFiles())
    await using logs = await LogPackage.open(file)
    expect(logs.nodes.map(({ number, address, archive }) => [number, address, archive])).toEqual([
      [101, '10.0.0.101', `${top}/101.tar.gz`],
      [103, '10.0.0.103', `${top}/103.tar.gz`],
    ])
    expect(logs.nodes[1]?.columns['Bytes']).toBe('77')
  })

  test('files stream out of archives in archives, each with its path and node', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    await writeZip(file, await packageFiles())
    const { files, errors } = await contentsOf(file)
    expect(errors).toEqual([])
    const older = '101/var/ris/retired/access-logs-20210502-0345.tar.gz/20210502-0345'
    expect([...files.keys()].slice(0, 5)).toEqual([
      `${top}/manifest.csv`,
      `${top}/101.tar.gz/101/var/log/messages`,
      `${top}/101.tar.gz/${older}/admin_request.log.0`,
      `${top}/101.tar.gz/${older}/http_gateway_request.log.0`,
      `${top}/101.tar.gz/${older}/mapi_gateway_request.log.0`,
    ])
    expect(files.get(`${top}/101.tar.gz/${older}/admin_request.log.0`)).toBe('')
    expect(files.get(`${top}/101.tar.gz/${older}/mapi_gateway_request.log.0`)).toBe(line(7, '/mapi/logs'))
    expect(files.size).toBe(1 + 1 + 3 + 3 + 1 + 3)
  })

  test('entries are the files of the ZIP itself, with their sizes and bytes, links left out', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const zip = new ZipFile()
    const packed = gzipSync(await tarOf([['a.log', 'inside']]))
    zip.addBuffer(packed, `${top}/101.tar.gz`)
    zip.addBuffer(Buffer.from('/etc/passwd'), `${top}/link`, { mode: 0o120777 })
    zip.addBuffer(Buffer.from('x'), `./${top}//plain.txt`)
    zip.end()
    await writeFile(file, await bytesOf(zip.outputStream as unknown as Bytes))
    await using logs = await LogPackage.open(file)
    const found: unknown[] = []
    for await (const entry of logs.entries())
      found.push([entry.path, entry.name, entry.node, entry.size, (await bytesOf(entry)).equals(packed)])
    expect(found).toEqual([
      [`${top}/101.tar.gz`, '101.tar.gz', 101, packed.length, true],
      [`${top}/plain.txt`, 'plain.txt', undefined, 1, false],
    ])
  })

  test('files that are not read, or only begun, are passed over', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    await writeZip(file, await packageFiles())
    await using logs = await LogPackage.open(file)
    const seen: (number | undefined)[] = []
    for await (const entry of logs.files({ filter: (path) => path.includes('http_gateway') })) {
      seen.push(entry.node)
      if (seen.length === 2) for await (const piece of entry) if (piece.length > 0) break
    }
    expect(seen).toEqual([101, 101, 103])
    const ofOne: string[] = []
    for await (const { path } of logs.files({ nodes: [103] })) ofOne.push(path)
    expect(ofOne).toHaveLength(4)
    for await (const { path } of logs.files()) if (path.includes('messages')) break
  })

  test.runIf(process.platform === 'linux')(
    'files that are not read hold nothing open, and are not taken for short ones later',
    async () => {
      await using folder = await temporaryFolder()
      const file = join(folder.path, 'p.zip')
      const large = randomBytes(1_000_000)
      const archive = gzipSync(
        await tarOf([
          ['101/a.gz', gzipSync(large)],
          ['101/b', large],
        ]),
      )
      await writeZip(file, { plain: large, packed: gzipSync(large), '101.tar.gz': archive })
      const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length
      const before = await openFiles()
      for (let turn = 0; turn < 10; turn++) {
        const logs = await LogPackage.open(file)
        const kept: LogFile[] = []
        for await (const entry of logs.files()) {
          kept.push(entry)
          if (turn % 2 === 1) break
        }
        for (const entry of kept) await expect(bytesOf(entry)).rejects.toThrow()
        await logs.close()
      }
      // Closing goes on in the background.
      await expect.poll(openFiles).toBeLessThan(before + 5)
    },
  )

  test.each(['bzip2', 'xz'] as const)('%s is told by its content, not by its name', async (form) => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const [text] = samples.filter(({ name }) => name === 'text')
    const packed = text?.[form] ?? Buffer.alloc(0)
    const inner = await tarOf([['102/messages.gz', packed]])
    await writeZip(file, { 'HCPLogs-x/node_102.tar.bz2': gzipSync(inner), 'HCPLogs-x/plain': packed })
    const { files, errors } = await contentsOf(file)
    expect(errors).toEqual([])
    expect([...files.values()]).toEqual([text?.content.toString(), text?.content.toString()])
  })

  test('memory stays where it is, however much is passed over', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const large = Buffer.alloc(8 * 1024 * 1024, line(1, '/rest/some/object'))
    const members = Array.from({ length: 16 }, (_, index) => [`1/f${index}`, large] as const)
    await writeZip(file, { 'HCPLogs-x/1.tar.gz': gzipSync(await tarOf(members), { level: 1 }) })
    await using logs = await LogPackage.open(file)
    let bytes = 0
    let most = 0
    for await (const entry of logs.files()) {
      for await (const piece of entry) bytes += piece.length
      most = Math.max(most, process.memoryUsage().arrayBuffers)
    }
    expect(bytes).toBe(16 * large.length)
    // The archive that was made above is still there.
    expect(most).toBeLessThan(300 * 1024 * 1024)
  })
})

describe('a package that is damaged', () => {
  const good = async (): Promise<Buffer> =>
    tarOf([
      ['9/one', 'first'],
      ['9/two', 'second'.repeat(20_000)],
      ['9/three', 'third'],
    ])

  test('a damaged archive is named, and the others are read', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const damaged = gzipSync(await good(), { level: 0 })
    damaged[40_000] = (damaged[40_000] as number) ^ 1
    const inner = await tarOf([
      ['1/before', 'a'],
      ['1/access.tar.gz', damaged],
      ['1/after', 'b'],
    ])
    await writeZip(file, {
      'HCPLogs-x/1.tar.gz': gzipSync(inner),
      'HCPLogs-x/2.tar.gz': gzipSync(await good()),
    })
    const { files, errors } = await contentsOf(file)
    expect(new Set(errors.map(({ place, problem }) => `${problem} ${place}`))).toEqual(
      new Set(['damaged HCPLogs-x/1.tar.gz/1/access.tar.gz']),
    )
    expect(files.get('HCPLogs-x/1.tar.gz/1/before')).toBe('a')
    expect(files.get('HCPLogs-x/1.tar.gz/1/after')).toBe('b')
    expect(files.get('HCPLogs-x/2.tar.gz/9/three')).toBe('third')
  })

  test('an archive that was cut is named, wherever it was cut', async () => {
    await using folder = await temporaryFolder()
    const whole = gzipSync(await good())
    for (const length of [20, 200, whole.length - 5]) {
      const file = join(folder.path, `${length}.zip`)
      await writeZip(file, { 'HCPLogs-x/1.tar.gz': whole.subarray(0, length), 'HCPLogs-x/2.tar.gz': whole })
      const { files, errors } = await contentsOf(file)
      expect([length, [...new Set(errors.map(({ place }) => place))]]).toEqual([
        length,
        ['HCPLogs-x/1.tar.gz'],
      ])
      expect(files.get('HCPLogs-x/2.tar.gz/9/three')).toBe('third')
    }
  })

  test('without onError, reading ends with the error', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    await writeZip(file, { 'HCPLogs-x/1.tar.gz': gzipSync(await good()).subarray(0, 100) })
    await using logs = await LogPackage.open(file)
    const reading = async (): Promise<void> => {
      for await (const entry of logs.files()) await bytesOf(entry)
    }
    await expect(reading()).rejects.toMatchObject({ code: 'LOGS_PACKAGE', place: 'HCPLogs-x/1.tar.gz' })
  })

  test('what is no whole ZIP is none from the start', async () => {
    await using folder = await temporaryFolder()
    const zip = await zipOf(await packageFiles())
    const flipped = Buffer.from(zip)
    flipped[zip.length - 30] = (flipped[zip.length - 30] as number) ^ 255
    const cases = {
      empty: Buffer.alloc(0),
      text: Buffer.from('<html>sorry</html>'),
      cut: zip.subarray(0, -1),
      half: zip.subarray(0, zip.length / 2),
      doubled: Buffer.concat([zip, zip]),
      prefixed: Buffer.concat([Buffer.from('HTTP'), zip]),
      followed: Buffer.concat([zip, Buffer.from('more')]),
      missing: Buffer.concat([zip.subarray(0, 1000), zip.subarray(1100)]),
    }
    for (const [name, bytes] of Object.entries(cases)) {
      const file = join(folder.path, name)
      await writeFile(file, bytes)
      const opening = LogPackage.open(file)
      await expect(opening, name).rejects.toMatchObject({
        code: 'LOGS_PACKAGE',
        place: '',
        problem: 'damaged',
      })
    }
    await expect(LogPackage.open(join(folder.path, 'nothing'))).rejects.toBeInstanceOf(LogsFileError)
  })

  test('content of the ZIP itself that has another checksum is an error', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const zip = await zipOf({ 'HCPLogs-x/1': 'x'.repeat(100), 'HCPLogs-x/2': 'y' })
    const at = zip.indexOf('HCPLogs-x/1') + 'HCPLogs-x/1'.length
    const crc = zip.lastIndexOf(Buffer.from('PK\u0001\u0002HCPLogs'.slice(0, 4), 'latin1'), zip.length)
    expect(at).toBeGreaterThan(0)
    zip[crc + 16] = (zip[crc + 16] as number) ^ 1
    await writeFile(file, zip)
    const { files, errors } = await contentsOf(file)
    expect(files.size).toBe(1)
    expect(errors).toMatchObject([{ problem: 'damaged' }])
  })
})

describe('a package that was made to do harm', () => {
  const names = [
    ['../outside', 'leads upwards'],
    ['a/../../outside', 'leads upwards'],
    ['/etc/outside', 'at the root'],
    ['C:/outside', 'a drive'],
    ['a\\..\\outside', 'a backslash'],
    ['a\u0007b', 'control character'],
    ['x'.repeat(300), 'too long'],
    ['./.', 'empty'],
  ] as const

  test.each(names)('a name like %j in an archive is refused, and the rest is read', async (name, why) => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const inner = await tarOf([
      [name, 'evil'],
      ['good', 'fine'],
    ])
    await writeZip(file, { 'HCPLogs-x/1.tar': inner })
    const { files, errors } = await contentsOf(file)
    expect(errors).toMatchObject([{ problem: 'name', place: 'HCPLogs-x/1.tar' }])
    expect(errors[0]?.message).toContain(why)
    expect([...files]).toEqual([['HCPLogs-x/1.tar/good', 'fine']])

    await using logs = await LogPackage.open(file)
    const { files: written, failed } = await logs.extract(join(folder.path, 'out'))
    expect(written.map(({ path }) => path)).toEqual(['HCPLogs-x/1.tar/good'])
    expect(failed).toHaveLength(1)
    expect((await readdir(folder.path)).toSorted()).toEqual(['out', 'p.zip'])
  })

  test('a name of the ZIP itself that leads out is refused', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const zip = await zipOf({ 'HCPLogs-x/aa': 'evil', 'HCPLogs-x/2': 'fine' })
    const evil = Buffer.from(
      zip.toString('latin1').replaceAll('HCPLogs-x/aa', '../../../../a'.slice(0, 12)),
      'latin1',
    )
    await writeFile(file, evil)
    const { files, errors } = await contentsOf(file)
    expect(errors).toMatchObject([{ problem: 'name' }])
    expect([...files.keys()]).toEqual(['HCPLogs-x/2'])
  })

  test('links lead nowhere: they are no files, and one that is there already is not followed', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const inner = await tarOf([
      ['link', { type: 'symlink', linkname: '/etc' }],
      ['hard', { type: 'link', linkname: '../../../etc/passwd' }],
      ['pipe', { type: 'fifo' }],
      ['link/passwd', 'evil'],
    ])
    await writeZip(file, { 'HCPLogs-x/1.tar': inner })
    await using logs = await LogPackage.open(file)
    const out = join(folder.path, 'out')
    const { files } = await logs.extract(out)
    expect(files.map(({ path }) => path)).toEqual(['HCPLogs-x/1.tar/link/passwd'])
    expect(await readFile(join(out, 'HCPLogs-x/1.tar/link/passwd'), 'utf8')).toBe('evil')

    const other = join(folder.path, 'other')
    const elsewhere = join(folder.path, 'elsewhere')
    await mkdir(other)
    await mkdir(elsewhere)
    await symlink(elsewhere, join(other, 'HCPLogs-x'))
    await expect(logs.extract(other)).rejects.toMatchObject({ code: 'LOGS_FILE', problem: 'kind' })
    expect(await readdir(elsewhere)).toEqual([])
  })

  test('nothing that is there is replaced, and what is twice in it is taken once', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const inner = await tarOf([
      ['same', 'first'],
      ['same', 'second'],
    ])
    await writeZip(file, { 'HCPLogs-x/1.tar': inner })
    await using logs = await LogPackage.open(file)
    const out = join(folder.path, 'out')
    const { files, failed } = await logs.extract(out)
    expect(files).toHaveLength(1)
    expect(failed).toMatchObject([{ problem: 'name' }])
    expect(await readFile(join(out, 'HCPLogs-x/1.tar/same'), 'utf8')).toBe('first')
    await expect(logs.extract(out)).rejects.toMatchObject({ code: 'LOGS_FILE', problem: 'exists' })
  })

  test('what is a file and a folder at once does not end an extraction', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const archive = await tarOf([
      ['b', 'file'],
      ['b/c/d', 'below it'],
    ])
    await writeZip(file, { 'a/b': 'below', a: 'file', '101.tar': archive, last: 'last' })
    await using logs = await LogPackage.open(file)
    const { files, failed } = await logs.extract(join(folder.path, 'out'))
    expect(files.map(({ path }) => path)).toEqual(['a/b', '101.tar/b', 'last'])
    expect(failed.map(({ place, problem }) => [place, problem])).toEqual([
      ['a', 'name'],
      ['101.tar/b/c/d', 'name'],
    ])
  })

  test('of a file that breaks off nothing is left by an extraction', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    const noise = samples.filter(({ name }) => name === 'text').map(({ content }) => content)
    const whole = gzipSync(
      await tarOf([
        ['a', noise[0] ?? ''],
        ['b', 'later'],
      ]),
    )
    await writeZip(file, { 'HCPLogs-x/1.tar.gz': whole.subarray(0, 4000), 'HCPLogs-x/2': 'fine' })
    await using logs = await LogPackage.open(file)
    const out = join(folder.path, 'out')
    const { files, failed } = await logs.extract(out)
    expect(files.map(({ path }) => path)).toEqual(['HCPLogs-x/2'])
    expect(failed).toMatchObject([{ place: 'HCPLogs-x/1.tar.gz', problem: 'damaged' }])
    expect(await readdir(join(out, 'HCPLogs-x', '1.tar.gz'))).toEqual([])
  })

  test('limits on entries, bytes, ratio and depth hold', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'p.zip')
    let nested: Buffer = Buffer.from('core')
    for (let depth = 0; depth < 10; depth++) nested = await tarOf([['n.tar', nested]])
    const bomb = gzipSync(Buffer.alloc(40 * 1024 * 1024))
    await writeZip(file, {
      'HCPLogs-x/1.tar': await tarOf(Array.from({ length: 50 }, (_, index) => [`f${index}`, 'x'] as const)),
      'HCPLogs-x/2.tar': nested,
      'HCPLogs-x/3.gz': bomb,
      'HCPLogs-x/4.tar.gz': gzipSync(await tarOf([['a.gz', bomb]])),
    })
    const reading = async (limits: object, only: RegExp): Promise<void> => {
      await using logs = await LogPackage.open(file, { limits })
      const ignore = (): void => undefined
      for await (const entry of logs.files({ onError: ignore }))
        if (only.test(entry.path)) await bytesOf(entry)
    }
    await reading({}, /\/[1]\.tar/).catch((error: LogPackageError) =>
      expect(error.message).toContain('more than 6'),
    )
    await expect(reading({ entries: 20 }, /^$/)).rejects.toMatchObject({ problem: 'limit' })
    await expect(reading({ depth: 4 }, /^$/)).rejects.toMatchObject({ problem: 'limit' })
    await expect(reading({ depth: 20, bytes: 30_000_000 }, /gz/)).rejects.toMatchObject({ problem: 'limit' })
    await expect(reading({ depth: 20, ratio: 50 }, /gz/)).rejects.toMatchObject({ problem: 'limit' })
    await reading({ depth: 20 }, /gz/)
    expect(gunzipSync(bomb)).toHaveLength(40 * 1024 * 1024)
  })

  test.each([{ depth: 0 }, { bytes: Number.NaN }, { files: 3 }, { ratio: '3' }])(
    'limits that are none are refused: %j',
    async (limits) => {
      await expect(LogPackage.open('never opened', { limits: limits as never })).rejects.toThrow(/limit/)
    },
  )
})

test('an abort ends reading with its reason', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'p.zip')
  await writeZip(file, await packageFiles())
  await using logs = await LogPackage.open(file)
  const abort = new AbortController()
  const reason = new Error('enough')
  const reading = async (): Promise<void> => {
    for await (const entry of logs.files({ signal: abort.signal, onError: () => undefined })) {
      if (entry.name.startsWith('http_gateway')) abort.abort(reason)
    }
  }
  await expect(reading()).rejects.toBe(reason)
})

test('names are brought into one form', () => {
  expect(entryName('', './a//b/./c/')).toBe('a/b/c')
  expect(entryName('', 'a..b/..c')).toBe('a..b/..c')
})

test('a manifest without the block has no nodes, and a bent one gives what it has', () => {
  expect(readManifest('')).toEqual([])
  expect(readManifest('"Other"\n1,2\n')).toEqual([])
  expect(readManifest('"Node IP"\r\n10.0.0.7\r\nfd00::7,x/7.tar,"a, b"\r\n')).toMatchObject([
    { number: 7, address: 'fd00::7', archive: 'x/7.tar', columns: { 'Node IP': 'fd00::7', 3: 'a, b' } },
  ])
  expect(readManifest('"Node IP","File"\n10.0.0.9,x/logs.bin\n')).toMatchObject([{ number: 9 }])
})
