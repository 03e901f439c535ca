import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Emulator, ReadyLine } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { Journal } from '../journal.ts'
import { ask, credentials } from '../wire.testing.ts'
import { MapiTester } from './mapi.testing.ts'

let data: string
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
})
afterEach(() => rm(data, { recursive: true, force: true }))

const n1 = '/tenants/m/namespaces/n1'

/** Changes of every kind. */
async function change(mapi: MapiTester): Promise<void> {
  await mapi.change('PUT', '/tenants?username=ops&password=Start123', {
    name: 'Sales',
    versioningConfigurationEnabled: true,
  })
  await mapi.change('POST', '/tenants/sales', { tags: { tag: ['kept'] } })
  await mapi.change('POST', '/tenants/m', { administrationAllowed: true }, 'm')
  await mapi.change('POST', '/tenants/m/contactInfo', { city: 'Paris' }, 'm')
  await mapi.change('PUT', '/tenants/m/namespaces', { name: 'films', hardQuota: '3 GB' }, 'm')
  await mapi.change('POST', '/tenants/m/namespaces/films/protocols/http', { httpEnabled: true }, 'm')
  await mapi.change('POST', n1, { name: 'renamed', description: 'new' }, 'm')
  await mapi.change('PUT', '/tenants/m/namespaces', { name: 'n1' }, 'm')
  const renamed = '/tenants/m/namespaces/renamed'
  await mapi.change('PUT', `${renamed}/retentionClasses`, { name: 'c1', value: '-1' }, 'm')
  await mapi.change(
    'POST',
    `${renamed}/versioningSettings`,
    { enabled: true, prune: true, pruneDays: 5 },
    'm',
  )
  await mapi.change('POST', `${renamed}/permissions`, { permission: ['READ', 'WRITE'] }, 'm')
  const namespacePermission = [{ namespaceName: 'films', permissions: { permission: ['READ', 'WRITE'] } }]
  await mapi.change('POST', '/tenants/m/userAccounts/n/dataAccessPermissions', { namespacePermission }, 'm')
  await mapi.change('POST', '/tenants/m/userAccounts/n/changePassword', { newPassword: 'New-0001' }, 'm')
  await mapi.change('PUT', '/tenants/m/namespaces', { name: 'gone' }, 'm')
  await mapi.change('DELETE', '/tenants/m/namespaces/gone', undefined, 'm')
  await mapi.change('POST', '/network', { downstreamDNSMode: 'ADVANCED' })
  await mapi.change('POST', '/userAccounts/sysadmin/changePassword', { newPassword: 'Sys-0001' })
}

/** Everything that is to be there again. */
async function seen(mapi: MapiTester): Promise<unknown> {
  const admin: [string, string] = ['sysadmin', 'Sys-0001']
  const paths = [
    '/tenants',
    '/tenants/sales?verbose=true',
    '/tenants/m?verbose=true',
    '/tenants/m/contactInfo',
    '/tenants/m/namespaces',
    '/tenants/m/namespaces/films?verbose=true',
    '/tenants/m/namespaces/films/protocols/http',
    '/tenants/m/namespaces/renamed?verbose=true',
    '/tenants/m/namespaces/renamed/retentionClasses/c1',
    '/tenants/m/namespaces/renamed/versioningSettings',
    '/tenants/m/namespaces/renamed/permissions',
    '/tenants/m/namespaces/n1?verbose=true',
    '/tenants/m/userAccounts/n?verbose=true',
    '/tenants/m/userAccounts/n/dataAccessPermissions',
    '/network',
  ]
  const found: unknown[] = []
  for (const path of paths) {
    const { mqeIndexingTimestamp: _now, ...document } = await mapi.read(path, 'admin', admin)
    found.push([path, document])
  }
  return found
}

const put = (hcp: Emulator, name: string, namespace: string): Promise<{ status: number }> =>
  ask(hcp, {
    method: 'PUT',
    path: `/rest/${name}`,
    host: `${namespace}.m.hcp1.test`,
    body: name,
    authorization: credentials('n', 'New-0001'),
  })
const get = async (hcp: Emulator, name: string, namespace: string): Promise<string> =>
  (
    await ask(hcp, {
      path: `/rest/${name}`,
      host: `${namespace}.m.hcp1.test`,
      authorization: credentials('n', 'New-0001'),
    })
  ).text

test('what was changed survives a kill -9, with the data that came after it', async () => {
  const cli = new URL('../../cli.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [cli, '--nodes', '1', '--data', data, '--quiet'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const ready = JSON.parse(line) as ReadyLine
  const running = { ...ready, ca: await readFile(ready.caFile, 'utf8') } as unknown as Emulator
  let before: unknown
  {
    await using mapi = new MapiTester(running)
    const first = {
      method: 'PUT',
      path: '/rest/early',
      body: 'early',
      authorization: credentials('n', 'n01'),
    }
    expect((await ask(running, first)).status).toBe(201)
    await change(mapi)
    expect((await put(running, 'late', 'renamed')).status).toBe(201)
    expect((await put(running, 'reel', 'films')).status).toBe(201)
    before = await seen(mapi)
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await using hcp = await startEmulator({ nodes: 1, data })
  await using mapi = new MapiTester(hcp)
  expect(await seen(mapi)).toEqual(before)
  expect(await get(hcp, 'early', 'renamed')).toBe('early')
  expect(await get(hcp, 'late', 'renamed')).toBe('late')
  expect(await get(hcp, 'reel', 'films')).toBe('reel')
  // What the killed process had counted in its last hour nobody knows.
  const report = await mapi.read('/tenants/m/chargebackReport?granularity=hour', 'm')
  const lines = report['chargebackData'] as { namespaceName?: string; valid: boolean }[]
  expect(lines.find(({ namespaceName }) => namespaceName === 'films')?.valid).toBe(false)
  expect(lines.find(({ namespaceName }) => namespaceName === 'n2')?.valid).toBe(true)
})

test('what was counted survives an orderly end', async () => {
  const now = (): number => 1_770_000_000_000
  let before: unknown
  const path = '/tenants/m/chargebackReport?granularity=hour'
  {
    await using hcp = await startEmulator({ nodes: 1, data, now })
    await using mapi = new MapiTester(hcp)
    await ask(hcp, { method: 'PUT', path: '/rest/a', body: 'x' })
    before = await mapi.read(path, 'm')
    expect(before).toMatchObject({ chargebackData: [{ writes: 1 }, { writes: 0 }, { writes: 1 }] })
  }
  await using hcp = await startEmulator({ nodes: 1, data, now })
  await using mapi = new MapiTester(hcp)
  expect(await mapi.read(path, 'm')).toEqual(before)
})

test('a journal that was compacted has it all', async () => {
  const file = join(data, 'primary', 'journal.jsonl')
  const class1 = '/tenants/m/contentClasses/c1'
  const contentProperty = Array.from({ length: 200 }, (_, index) => ({
    name: `p${index}`,
    expression: 'x'.repeat(4_096),
    type: 'STRING',
  }))
  let before: unknown
  {
    await using hcp = await startEmulator({ nodes: 1, data })
    await using mapi = new MapiTester(hcp)
    await change(mapi)
    await put(hcp, 'late', 'renamed')
    await mapi.change('PUT', '/tenants/m/contentClasses', { name: 'c1' }, 'm')
    const first = (await stat(file)).size
    for (let round = 0; round < 42; round++)
      await mapi.change('POST', class1, { contentProperties: { contentProperty } }, 'm')
    await mapi.change('POST', class1, { contentProperties: { contentProperty: [] } }, 'm')
    // It has been more than 32 MiB.
    while ((await stat(file)).size > first + 4 * 1024 ** 2) await wait(10)
    await put(hcp, 'reel', 'films')
    before = await seen(mapi)
  }
  await using hcp = await startEmulator({ nodes: 1, data })
  await using mapi = new MapiTester(hcp)
  expect(await seen(mapi)).toEqual(before)
  expect(await get(hcp, 'late', 'renamed')).toBe('late')
  expect(await get(hcp, 'reel', 'films')).toBe('reel')
})

test('on a full disk a change is refused and undone', async () => {
  await using hcp = await startEmulator({ nodes: 1, data })
  await using mapi = new MapiTester(hcp)
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' })
  const append = vi.spyOn(Journal.prototype, 'append').mockRejectedValue(full)
  try {
    const body = { name: 'films' }
    const path = '/tenants/m/namespaces'
    expect((await mapi.call({ method: 'PUT', path, host: 'm', body })).status).toBe(503)
    expect((await mapi.read(path, 'm'))['name']).toEqual(['n1', 'n2'])
    const renamed = { method: 'POST' as const, path: n1, host: 'm', body: { name: 'renamed' } }
    expect((await mapi.call(renamed)).status).toBe(503)
    expect((await mapi.read(path, 'm'))['name']).toEqual(['n1', 'n2'])
    const gone = { method: 'DELETE' as const, host: 'm' }
    expect((await mapi.call({ ...gone, path: '/tenants/m/userAccounts/n' })).status).toBe(503)
    expect((await mapi.call({ ...gone, path: n1 })).status).toBe(503)
    expect((await mapi.read(`${path}/n1`, 'm'))['name']).toBe('n1')
  } finally {
    append.mockRestore()
  }
  const put = { method: 'PUT', path: '/rest/a', body: 'x' }
  expect((await ask(hcp, put)).status).toBe(201)
})
