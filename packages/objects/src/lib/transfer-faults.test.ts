import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HcpProtocolError } from '@hcp/connection'
import { type Emulator, type Fault, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { transferInChild } from '../../test/child.ts'
import { clientOf } from '../../test/emulated.ts'
import { treeOf, versionCount, writeTree } from '../../test/trees.ts'
import { downloadTree } from './download-tree.ts'
import type { ObjectClient } from './object-client.ts'
import type { TransferSummary } from './transfer-summary.ts'
import { uploadTree } from './upload-tree.ts'

// A tree goes up and comes down under every kind of fault that the emulator knows, at every moment it knows. Whatever happens, each
// file is stored once and equal, or named as failed. HCP_TRANSFER_FILES=2000 makes the tree as large as real ones.

const count = Number(process.env['HCP_TRANSFER_FILES'] ?? 60)
const full = count >= 500
const largest = full ? 64 * 1024 * 1024 : 4 * 1024 * 1024

/** 0 bytes to the largest, most of them small; the same each time. */
function sizes(): Record<string, number> {
  const files: Record<string, number> = {}
  for (let index = 0; index < count; index++) {
    const turn = ((index * 7_919) % count) / count
    const size = index === 0 ? 0 : index === 1 ? largest : Math.floor(largest * turn ** (full ? 300 : 60))
    files[`d${index % 7}/${index % 3 === 0 ? 'deep/er/' : ''}f${index}`] = size + (index % 5)
  }
  return { ...files, 'd0/deep/er/f0': 0 }
}
const files = sizes()
const names = Object.keys(files)

const pace = full ? 16_000_000 : 4_000_000
const kinds: readonly Fault[] = [
  { kind: 'refuse', when: 'connect' },
  ...(['hang', 'reset', 'truncate', 'garbage', 'delay'] as const).flatMap((kind) =>
    (['connect', 'beforeHead', 'afterHead', 'body'] as const).map((when) => ({ kind, when })),
  ),
  { kind: 'status', when: 'beforeHead', status: 503 },
  { kind: 'status', when: 'beforeHead', status: 500 },
  { kind: 'status', when: 'body', status: 503 },
  { kind: 'throttle', when: 'body', bytesPerSecond: pace },
]
const cells: readonly Fault[] = kinds.map((fault) => ({
  ...fault,
  ...(fault.kind === 'delay' ? { ms: 30 } : {}),
  ...(fault.when === 'body' && fault.kind !== 'throttle' ? { afterBytes: 700 } : {}),
}))

let folder: string
let source: string
let expected: Map<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hcp-faults-'))
  source = join(folder, 'source')
  await mkdir(source)
  await writeTree(source, files)
  expected = await treeOf(source)
}, 120_000)
afterAll(() => rm(folder, { recursive: true }))

/** One node has the fault all the time, the others now and then. Connections are few, so that one is enough there. */
function disturb(hcp: Emulator, fault: Fault): void {
  hcp.addFault({ ...fault, node: 1 })
  if (fault.when === 'connect') return
  hcp.addFault({ ...fault, count: 8, path: '/rest/tree/d' })
}

const concurrency = 16
const hasty = {
  connections: 16,
  connectTimeout: 500,
  headersTimeout: 300,
  bodyTimeout: 300,
  retry: { attempts: 6, minDelay: 2, maxDelay: 40 },
}

function checkSum(summary: TransferSummary): void {
  const { stored, identical, resumed, failed } = summary
  expect(summary.files).toBe(stored + identical + resumed + failed.length)
  expect(summary.files).toBe(count)
}

const failedOf = ({ failed }: TransferSummary): Set<string> => new Set(failed.map(({ file }) => file))

const report = (what: string, { stored, identical, resumed, failed, duration }: TransferSummary): void => {
  if (!full) return
  const reasons = new Map<string, number>()
  for (const { error } of failed) {
    const reason = 'code' in error ? String(error.code) : error.name
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const seconds = (duration / 1000).toFixed(1)
  const counts = `${stored} stored, ${identical} identical, ${resumed} resumed, ${failed.length} failed`
  process.stdout.write(`${what}: ${counts} in ${seconds} s ${JSON.stringify([...reasons])}\n`)
}

/** Looks at all that is on HCP, on quiet nodes: the hash of each object that is there, and that nothing has two versions. */
async function onHcp(client: ObjectClient): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const entry of client.walk('/rest/tree')) {
    if (entry.type !== 'object') continue
    // What HCP says it has; the content is read by the downloads.
    expect(entry.hash?.scheme).toBe('SHA-256')
    found.set(entry.path.slice('/rest/tree/'.length), entry.hash?.hex ?? '')
  }
  expect(await versionCount(client)).toBe(found.size)
  return found
}

const timeout = full ? 1_800_000 : 60_000

describe.each(cells)('$kind $when $status', (fault) => {
  test('every file is stored once and equal, or named as failed, both ways', { timeout }, async () => {
    await using hcp = await startEmulator({ data: await mkdtemp(join(folder, 'hcp-')) })
    await using client = clientOf(hcp, 'n2', hasty)
    await using quiet = clientOf(hcp, 'n2')
    const journal = join(folder, `${fault.kind}-${fault.when}-${fault.status}`)
    const label = `${fault.kind} ${fault.when} ${fault.status ?? ''}`

    disturb(hcp, fault)
    const up = await uploadTree(client, source, '/rest/tree', { journal, concurrency })
    await hcp.clearFaults()
    report(`${label} up`, up)
    checkSum(up)
    let failed = failedOf(up)
    let stored = await onHcp(quiet)
    for (const name of names) {
      if (!failed.has(name)) expect([name, stored.get(name)]).toEqual([name, expected.get(name)])
    }

    // What was left out is stored by a second run; what was damaged on its way in is named until it may be replaced.
    const again = await uploadTree(quiet, source, '/rest/tree', { journal })
    checkSum(again)
    failed = failedOf(again)
    stored = await onHcp(quiet)
    for (const name of names) {
      const equal = stored.get(name) === expected.get(name)
      expect([name, failed.has(name)]).toEqual([name, !equal])
    }
    if (fault.kind !== 'garbage') expect(again.failed).toEqual([])
    const repaired = await uploadTree(quiet, source, '/rest/tree', { journal, existing: 'version' })
    checkSum(repaired)
    expect(repaired).toMatchObject({ failed: [], stored: failed.size, resumed: count - failed.size })

    const target = `${journal}-down`
    disturb(hcp, fault)
    const down = await downloadTree(client, '/rest/tree', target, { concurrency }).catch((error: unknown) => {
      // Where all listings come over a node that damages them, not even the first names are known.
      if (fault.kind !== 'garbage' || !(error instanceof HcpProtocolError)) throw error
    })
    await hcp.clearFaults()
    const there = await treeOf(target, (name) => !name.startsWith('.hcp-transfer/'))
    for (const [name, hash] of there) expect([name, hash]).toEqual([name, expected.get(name)])
    if (down !== undefined) {
      report(`${label} down`, down)
      const missing = [...failedOf(down)]
      // A directory that could not be listed stands for all that is in it.
      const isNamed = (name: string): boolean =>
        missing.some((file) => file === name || (file.endsWith('/') && name.startsWith(file)))
      for (const name of names) if (!isNamed(name)) expect([name, there.has(name)]).toEqual([name, true])
    }

    const last = await downloadTree(quiet, '/rest/tree', target)
    checkSum(last)
    expect(last.failed).toEqual([])
    expect(await treeOf(target)).toEqual(expected)
    await rm(target, { recursive: true })
  })
})

test('after kill -9 in the middle of faults, a second run completes it', { timeout }, async () => {
  await using hcp = await startEmulator({ data: await mkdtemp(join(folder, 'hcp-')) })
  await using quiet = clientOf(hcp, 'n2')
  const journal = join(folder, 'killed')
  const mix = (): void => {
    hcp.addFault({ kind: 'reset', when: 'beforeHead', node: 1 })
    hcp.addFault({ kind: 'status', status: 503, node: 2, count: 30 })
    hcp.addFault({ kind: 'truncate', when: 'body', afterBytes: 700, node: 3, count: 30 })
  }
  const work = { namespace: 'n2', path: '/rest/tree', journal, concurrency: 8 }
  const up = { ...work, kind: 'upload', local: source }
  for (const part of [0.2, 0.4]) {
    mix()
    const killWhen = (_: string, lines: number): boolean => lines > part * count
    expect(await transferInChild(hcp, up, { killWhen })).toBeUndefined()
    await hcp.clearFaults()
  }
  const second = await uploadTree(quiet, source, '/rest/tree', { journal })
  report('killed up', second)
  checkSum(second)
  expect(second.failed).toEqual([])
  expect(await onHcp(quiet)).toEqual(expected)

  const target = join(folder, 'killed-target')
  const down = { ...work, kind: 'download', local: target, journal: `${journal}-down` }
  let files = 0
  mix()
  const killWhen = (line: string): boolean => line.includes('outcome') && ++files > count / 2
  expect(await transferInChild(hcp, down, { killWhen })).toBeUndefined()
  await hcp.clearFaults()
  const last = await downloadTree(quiet, '/rest/tree', target, { journal: `${journal}-down` })
  report('killed down', last)
  checkSum(last)
  expect(last.failed).toEqual([])
  expect(await treeOf(target)).toEqual(expected)
})
