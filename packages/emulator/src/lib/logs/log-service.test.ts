import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import type { WireRequest } from '../wire.testing.ts'
import type { Wire } from '../wire.testing.ts'
import { credentials } from '../wire.testing.ts'
import {
  ask,
  download,
  everything,
  managed,
  prepared,
  statusOf,
  stuck,
  toManagement,
  until,
} from './logs.testing.ts'

type State = 'idle' | 'preparing' | 'prepared' | 'streaming' | 'failed'

const all = 'ACCESS,SYSTEM,SERVICE,APPLICATION'
const day = 86_400_000

const shown: Readonly<Record<State, object>> = {
  idle: flags(false, false, false, false),
  preparing: flags(false, false, true, false),
  prepared: flags(true, false, true, false),
  streaming: flags(true, true, true, false),
  failed: flags(false, false, false, true),
}

function flags(ready: boolean, streaming: boolean, started: boolean, error: boolean): object {
  return {
    readyForStreaming: String(ready),
    streamingInProgress: String(streaming),
    started: String(started),
    error: String(error),
    content: all,
  }
}

let clock = Date.UTC(2026, 4, 3, 12, 30)
/** One that is ready at once, and one that never is. */
let [quick, slow]: Emulator[] = []
let open: Wire | undefined
beforeAll(async () => {
  const now = (): number => clock
  quick = await startEmulator({ nodes: 2, now, choices: { logPreparationMs: 0 } })
  slow = await startEmulator({ nodes: 1, now, choices: { logPreparationMs: 3_600_000 } })
  quick.seedLogs({ bytes: 64 * 1024 ** 2 })
})
afterAll(async () => {
  await quick?.close()
  await slow?.close()
})
afterEach(async () => {
  open?.[Symbol.dispose]()
  open = undefined
  for (const hcp of [quick!, slow!]) await ask(hcp, { method: 'POST', path: '?cancel' })
  await quick!.clearFaults()
})

/** Brings a system into a state, and says which one it is. */
async function into(state: State): Promise<Emulator> {
  const hcp = state === 'preparing' ? slow! : quick!
  if (state === 'failed') hcp.failLogs()
  if (state !== 'idle') await ask(hcp, { method: 'POST', path: '/prepare', body: everything })
  if (state === 'failed') await until(hcp, ({ error }) => error === 'true')
  if (state === 'prepared' || state === 'streaming')
    await until(hcp, ({ readyForStreaming }) => readyForStreaming === 'true')
  if (state === 'streaming') open = await stuck(hcp)
  expect(await statusOf(hcp)).toEqual(shown[state])
  return hcp
}

const prepare: WireRequest = { method: 'POST', path: '/prepare', body: everything }
const fetchSome: WireRequest = {
  method: 'POST',
  path: '/download',
  body: '<logDownload><nodes></nodes></logDownload>',
}
const cancel: WireRequest = { method: 'POST', path: '?cancel' }
const mark: WireRequest = { method: 'POST', path: '?mark=x' }

describe('each event in each state', () => {
  test.each<[State, string, WireRequest, number, State]>([
    ['idle', 'prepare', prepare, 200, 'prepared'],
    ['preparing', 'prepare', prepare, 400, 'preparing'],
    ['prepared', 'prepare', prepare, 400, 'prepared'],
    ['streaming', 'prepare', prepare, 400, 'streaming'],
    ['failed', 'prepare', prepare, 200, 'prepared'],
    ['idle', 'download', fetchSome, 400, 'idle'],
    ['preparing', 'download', fetchSome, 400, 'preparing'],
    ['prepared', 'download', fetchSome, 200, 'prepared'],
    ['streaming', 'download', fetchSome, 400, 'streaming'],
    ['failed', 'download', fetchSome, 400, 'failed'],
    ['idle', 'cancel', cancel, 200, 'idle'],
    ['preparing', 'cancel', cancel, 200, 'idle'],
    ['prepared', 'cancel', cancel, 200, 'idle'],
    ['streaming', 'cancel', cancel, 200, 'idle'],
    ['failed', 'cancel', cancel, 200, 'idle'],
    ['idle', 'mark', mark, 200, 'idle'],
    ['preparing', 'mark', mark, 200, 'preparing'],
    ['prepared', 'mark', mark, 200, 'prepared'],
    ['streaming', 'mark', mark, 200, 'streaming'],
    ['failed', 'mark', mark, 200, 'failed'],
  ])('%s, %s', async (state, event, request, status, after) => {
    const hcp = await into(state)
    const answer = await ask(hcp, request)
    expect(answer.status).toBe(status)
    if (status === 400) expect(answer.headers['x-hcp-errormessage']).toMatch(/\w/)
    if (status === 400 && event === 'prepare')
      expect(answer.headers['x-hcp-errormessage']).toMatch(/^A log download/)
    if (event === 'prepare' && status === 200)
      await until(hcp, ({ readyForStreaming }) => readyForStreaming === 'true')
    expect(await statusOf(hcp)).toEqual(shown[after])
  })

  test.each<[State, State]>([
    ['idle', 'idle'],
    ['preparing', 'preparing'],
    ['prepared', 'idle'],
    ['streaming', 'streaming'],
    ['failed', 'failed'],
  ])('%s, a day passes', async (state, after) => {
    const hcp = await into(state)
    clock += day - 1
    expect(await statusOf(hcp)).toEqual(shown[state])
    clock += 1
    expect(await statusOf(hcp)).toEqual(shown[after])
  })
})

test('a download counts as fetching: the package is there for another day', async () => {
  const hcp = await into('prepared')
  clock += day - 1
  expect((await ask(hcp, fetchSome)).status).toBe(200)
  clock += day - 1
  expect(await statusOf(hcp)).toEqual(shown.prepared)
  clock += 1
  expect((await ask(hcp, fetchSome)).status).toBe(400)
})

test('a preparation is seen as started before it is ready', async () => {
  await using hcp = await startEmulator({ nodes: 1 })
  expect((await ask(hcp, prepare)).status).toBe(200)
  expect(await statusOf(hcp)).toEqual(shown.preparing)
  await until(hcp, ({ readyForStreaming }) => readyForStreaming === 'true')
  expect(await statusOf(hcp)).toEqual(shown.prepared)
})

test('a cancelled preparation never becomes ready, and the next one is another', async () => {
  const hcp = await into('preparing')
  await ask(hcp, cancel)
  expect((await ask(hcp, prepare)).status).toBe(200)
  expect(await statusOf(hcp)).toEqual(shown.preparing)
})

test('a cancelled download is cut, and is not complete', async () => {
  const hcp = await into('streaming')
  await ask(hcp, cancel)
  open!.socket.resume()
  const all = await open!.rest()
  expect(open!.ended).toBeDefined()
  expect(all.subarray(-5).toString('latin1')).not.toBe('0\r\n\r\n')
  expect(all.length).toBeLessThan(64 * 1024 ** 2)
})

test('a client that goes away leaves a package that can be fetched', async () => {
  const hcp = await into('streaming')
  open!.socket.destroy()
  await until(hcp, ({ streamingInProgress }) => streamingInProgress === 'false')
  expect(await statusOf(hcp)).toEqual(shown.prepared)
})

test('content is what was downloaded last, until the next preparation or cancellation', async () => {
  const hcp = await into('prepared')
  expect((await download(hcp, '<nodes/><content> service, ACCESS </content>')).status).toBe(200)
  expect((await statusOf(hcp))['content']).toBe('ACCESS,SERVICE')
  await ask(hcp, cancel)
  expect((await statusOf(hcp))['content']).toBe(all)
})

test('failures are as many as were asked for, through the control port too', async () => {
  const hcp = quick!
  const url = `http://127.0.0.1:${hcp.ports.control}/logs/fail`
  expect((await fetch(url, { method: 'POST', body: '{"count":2}' })).status).toBe(200)
  for (const failed of [true, true, false]) {
    await ask(hcp, prepare)
    await until(hcp, ({ error, readyForStreaming }) => error === 'true' || readyForStreaming === 'true')
    expect(await statusOf(hcp)).toEqual(shown[failed ? 'failed' : 'prepared'])
  }
  expect((await fetch(url, { method: 'POST', body: '{"count":-1}' })).status).toBe(400)
  expect((await fetch(url, { method: 'POST', body: '{"count":"1"}' })).status).toBe(400)
})

test.each<[string, string, string]>([
  ['logPrepare', '/prepare', '<logPrepare/>'],
  [
    'logDownloadPrepare',
    '/prepare',
    '<logDownloadPrepare><snodes>S10-1, S30-2</snodes></logDownloadPrepare>',
  ],
  ['JSON', '/prepare', '{"startDate":"05/01/2021","endDate":"05/03/2021","snodes":""}'],
])('a preparation may be written as %s', async (_, path, body) => {
  const headers = { 'Content-Type': body.startsWith('{') ? 'application/json' : 'application/xml' }
  expect((await ask(slow!, { method: 'POST', path, body, headers })).status).toBe(200)
})

/** Byte for byte what the Python package sends, white space and all. */
const declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const pythonPrepare = (sNodes: string): string =>
  `${declaration}<logPrepare>\n  <startDate>01/01/1970</startDate>\n  <endDate>01/01/2100</endDate>\n  ${sNodes}\n</logPrepare>\n`
const pythonDownload = (nodes: string, sNodes: string, content: string): string =>
  `${declaration}<logDownload>\n    ${nodes}\n    <snodes>${sNodes}</snodes>\n    <content>${content}</content>\n</logDownload>`

test.each([
  [pythonPrepare(''), pythonDownload('', '', all), 'HCPLogs-hcp1.test-'],
  [
    pythonPrepare('<snodes>s1,s2</snodes>'),
    pythonDownload('<nodes>101,102</nodes>', 's1,s2', 'SYSTEM'),
    'HCPLogs-hcp1.test-sys-',
  ],
])('the requests of the Python package are understood: %j', async (preparation, selection, fileName) => {
  const hcp = quick!
  const headers = { 'Content-Type': 'application/xml', Accept: '*/*' }
  hcp.seedLogs({ bytes: 0 })
  await prepared(hcp, preparation)
  const { status, headers: got } = await ask(hcp, {
    method: 'POST',
    path: '/download',
    body: selection,
    headers,
  })
  expect(status).toBe(200)
  expect(got['content-disposition']!.split('=')[1]).toMatch(new RegExp(`^${fileName}\\d{8}-\\d{4}\\.zip$`))
  expect((await ask(hcp, { method: 'POST', path: '?cancel=' })).status).toBe(200)
  hcp.seedLogs({ bytes: 64 * 1024 ** 2 })
})

test('the status in JSON has booleans, and content as one text', async () => {
  const { text } = await ask(slow!, { headers: { Accept: 'application/json' } })
  expect(JSON.parse(text)).toEqual({
    readyForStreaming: false,
    streamingInProgress: false,
    started: false,
    error: false,
    content: all,
  })
})

test.each([
  '<startDate>05/32/2021</startDate>',
  '<startDate>02/29/2021</startDate>',
  '<startDate>04/31/2021</startDate>',
  '<startDate>2021-05-01</startDate>',
  '<startDate>5/1/2021</startDate>',
  '<startDate/>',
  '<startDate>05/03/2021</startDate><endDate>05/02/2021</endDate>',
  '<startDate>01/01/2100</startDate>',
  '<endDate>yesterday</endDate>',
  '<snodes>S10-1,,S10-2</snodes>',
  '<snodes>a b</snodes>',
  '<nodes>101</nodes>',
  '<content>ACCESS</content>',
])('400 for a preparation with %s, and nothing is begun', async (fields) => {
  const { status } = await ask(slow!, { ...prepare, body: `<logPrepare>${fields}</logPrepare>` })
  expect(status).toBe(400)
  expect(await statusOf(slow!)).toEqual(shown.idle)
})

test.each([
  '<content/>',
  '<content></content>',
  '<content>ACCESS,PASSWORDS</content>',
  '<content>ACCESS,</content>',
  '<nodes>101,103</nodes>',
  '<nodes>1</nodes>',
  '<nodes>a</nodes>',
  '<snodes>S10-9</snodes>',
  '<startDate>05/01/2021</startDate>',
])('400 for a download of %s, and the package stays', async (selection) => {
  const hcp = await into('prepared')
  expect((await download(hcp, selection)).status).toBe(400)
  expect(await statusOf(hcp)).toEqual(shown.prepared)
})

test.each<[string, string, number]>([
  ['POST', '', 400],
  ['POST', '?mark=', 400],
  ['POST', '?mark=+', 400],
  ['POST', '?mark=a&cancel', 400],
  ['POST', '?cancel=', 200],
  ['POST', '?mark=Disk+17%20pulled', 200],
  ['PUT', '', 405],
  ['DELETE', '', 405],
  ['GET', '/prepare', 405],
  ['GET', '/download', 405],
  ['HEAD', '', 200],
])('%s %s is %i', async (method, path, status) => {
  expect((await ask(slow!, { method, path })).status).toBe(status)
})

test.each<[string, number, number]>([
  ['MONITOR', 200, 403],
  ['ADMINISTRATOR', 200, 200],
  ['SERVICE', 200, 200],
  ['SECURITY', 403, 403],
  ['COMPLIANCE', 403, 403],
  ['SEARCH', 403, 403],
])('the role %s: status %i, the others %i', async (role, reads, acts) => {
  const systemUsers = [{ user: 'u', password: 'p', roles: [role as 'MONITOR'] }]
  await using hcp = await startEmulator({
    nodes: 1,
    config: { tenants: [], systemUsers },
    choices: { logPreparationMs: 0 },
  })
  const authorization = credentials('u', 'p')
  expect((await ask(hcp, { authorization })).status).toBe(reads)
  for (const request of [mark, cancel, prepare])
    expect((await ask(hcp, { ...request, authorization })).status).toBe(acts)
})

test('no account of a tenant has anything to do with logs', async () => {
  for (const host of ['m.hcp1.test', 'admin.hcp1.test']) {
    const authorization = credentials('admin', 'a01')
    expect((await ask(quick!, { host, authorization })).status).toBe(403)
    expect((await ask(quick!, { ...prepare, host, authorization })).status).toBe(403)
  }
})

test('each system has a job of its own', async () => {
  await using hcp = await startEmulator({
    nodes: 1,
    replicaDomain: 'hcp2.test',
    choices: { logPreparationMs: 0 },
  })
  hcp.failLogs({ cluster: 'replica' })
  await prepared(hcp)
  const other = async (request: WireRequest): Promise<string> => {
    using wire = await toManagement(hcp, 1, 'replica')
    return (await wire.send(managed({ ...request, host: 'admin.hcp2.test' })).answer()).text
  }
  expect(await other({})).toContain('<started>false<')
  await other(prepare)
  while (!(await other({})).includes('<error>true<'));
  expect(await statusOf(hcp)).toEqual(shown.prepared)
})
