import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LogPackage } from '@hcp/mapi-logs'
import { afterAll, describe, expect, test } from 'vitest'
import { dialects, Stores } from '../store/stores.testing.ts'
import {
  base,
  type Bench,
  eventually,
  isOver,
  project,
  serial,
  server,
  startBench,
  user,
} from './exports.testing.ts'

const run = promisify(execFile)
const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

async function content(bench: Bench, id: string, accept?: string): Promise<Response> {
  return fetch(`${bench.url}${base}/${id}/content`, {
    headers: { ...user, ...(accept === undefined ? {} : { accept }) },
  })
}

/** Files by their names in the archive. */
async function filesOfTar(folder: string, bytes: Uint8Array): Promise<Map<string, Buffer>> {
  await mkdir(join(folder, 'opened'))
  await writeFile(join(folder, 'a.tar.gz'), bytes)
  await run('tar', ['-xzf', join(folder, 'a.tar.gz'), '-C', join(folder, 'opened')])
  const files = new Map<string, Buffer>()
  for (const entry of await readdir(join(folder, 'opened'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(path.slice(join(folder, 'opened').length + 1), await readFile(path))
  }
  await rm(join(folder, 'opened'), { recursive: true })
  return files
}

async function filesOfZip(folder: string, bytes: Uint8Array): Promise<Map<string, Buffer>> {
  await writeFile(join(folder, 'a.zip'), bytes)
  await using zip = await LogPackage.open(join(folder, 'a.zip'))
  const files = new Map<string, Buffer>()
  for await (const entry of zip.entries()) {
    const pieces: Uint8Array[] = []
    for await (const piece of entry) pieces.push(piece)
    files.set(entry.path, Buffer.concat(pieces))
  }
  return files
}

const places = dialects.flatMap((dialect) => [false, true].map((bodies) => ({ dialect, bodies })))

describe.each(places)('on $dialect, archives in a namespace: $bodies', ({ dialect, bodies }) => {
  test('an export comes as a tar.gz with just what is in the ZIP, and HCP is free again', async () => {
    await using bench = await startBench({ database: await stores.url(dialect), bodies })
    const posted = await bench.ask('POST', base, { body: {} })
    expect(posted.status).toBe(202)
    const task = posted.json as { export_id: string; created_at: string }
    expect(task).toEqual({
      export_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: 'processing',
      percentage: '0%',
      progress: 0,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    })
    expect(posted.headers.get('location')).toBe(`${base}/${task.export_id}`)
    expect(posted.headers.get('retry-after')).toBe('1')
    expect(posted.headers.get('content-disposition')).toBeNull()
    const seen: number[] = []
    const done = await bench.until(task.export_id, (each) => {
      seen.push(each.progress)
      return isOver(each)
    })
    expect(done).toEqual({ ...task, status: 'completed', percentage: '100%', progress: 100 })
    expect(seen).toEqual(seen.toSorted((one, other) => one - other))
    expect((await bench.others.status()).state).toBe('idle')

    const tar = await content(bench, task.export_id)
    expect(tar.status).toBe(200)
    expect(Object.fromEntries(tar.headers)).toMatchObject({
      'content-type': 'application/octet-stream;charset=UTF-8',
      'content-disposition': `attachment; filename=${serial}-dump.tar.gz`,
      'content-transfer-encoding': 'binary',
      'accept-ranges': 'bytes',
    })
    const tarBytes = await tar.bytes()
    expect(tarBytes.length).toBe(Number(tar.headers.get('content-length')))
    expect(tar.headers.get('etag')).toBe(`"${createHash('sha256').update(tarBytes).digest('hex')}"`)
    const zip = await content(bench, task.export_id, 'application/zip')
    expect(zip.headers.get('content-disposition')).toBe(`attachment; filename=${serial}-dump.zip`)
    const inZip = await filesOfZip(bench.folder, await zip.bytes())
    const inTar = await filesOfTar(bench.folder, tarBytes)
    expect([...inTar.keys()].toSorted()).toEqual([...inZip.keys()].toSorted())
    expect(inZip.size).toBeGreaterThan(2)
    for (const [name, bytes] of inZip) expect(inTar.get(name)?.equals(bytes), name).toBe(true)

    // Nothing else is left on the disk.
    await eventually(async () => (await readdir(join(bench.folder, 'packages', server))).length === 0)
    const kept = await readdir(join(bench.folder, 'archives', server))
    expect(kept.length).toBe(bodies ? 0 : 2)

    const row = await bench.service.context.database.read
      .selectFrom('exports')
      .selectAll()
      .executeTakeFirstOrThrow()
    const operation = await bench.service.context.operations.get(row.operation_id, project)
    expect(operation).toMatchObject({
      operation_type: 'log_export',
      status: 'success',
      scheduled_operation_id: task.export_id,
      error_info: null,
    })
    expect(JSON.parse(operation!.extra_info!)).toMatchObject({ system: server, actor: 'olga' })
    const texts: string[] = []
    for await (const entry of bench.service.context.entries.read(
      { datasets: [server], task: task.export_id, name: 'stdlog' },
      { order: 'asc', data: true },
    ))
      texts.push(entry.data!)
    expect(texts[0]).toContain('ordered by olga')
    expect(texts.at(-1)).toContain('The archive is stored')
  })
})
