import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ReadyLine } from './lib/emulator.ts'

const cli = join(import.meta.dirname, 'cli.ts')

interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

let directory: string
let children: ChildProcessByStdio<null, Readable, Readable>[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hcp-cli-'))
  children = []
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

/** The command as a process; `ready` resolves to its line, `exit` to how it ended and all that it wrote. */
function run(...args: string[]): {
  child: ChildProcessByStdio<null, Readable, Readable>
  ready: Promise<ReadyLine>
  exit: Promise<Exit>
} {
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: directory },
  })
  children.push(child)
  let stdout = ''
  let stderr = ''
  const line = Promise.withResolvers<string>()
  const ready = line.promise.then((text) => JSON.parse(text) as ReadyLine)
  // Not every test waits for it.
  ready.catch(() => undefined)
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
    const end = stdout.indexOf('\n')
    if (end >= 0) line.resolve(stdout.slice(0, end))
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const exit = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      line.reject(new Error(`ended before it was ready: ${stderr}`))
      resolve({ code, signal, stdout, stderr })
    })
  })
  return { child, ready, exit }
}

const md5 = createHash('md5').update('n01').digest('hex')
const authorization = `HCP ${Buffer.from('n').toString('base64')}:${md5}`

function send(
  ready: ReadyLine,
  node: number,
  method: string,
  path: string,
  body?: string,
): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const host = ready.nodes[node]!
    const headers = { host: `n1.m.${ready.domain}`, authorization }
    const request = httpRequest(
      { host, port: ready.ports.http, method, path, headers, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve([response.statusCode!, text]))
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

async function open(port: number, address: string): Promise<Socket> {
  const socket = connect(port, address)
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

test('one line of JSON on stdout says where everything is, and all of it is there', async () => {
  const { child, ready, exit } = run()
  const line = await ready
  expect(line).toEqual({
    ready: true,
    domain: 'hcp1.test',
    nodes: ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'],
    ports: {
      http: expect.any(Number) as number,
      https: expect.any(Number) as number,
      mapi: expect.any(Number) as number,
      dns: expect.any(Number) as number,
      control: expect.any(Number) as number,
    },
    dns: `127.0.0.1:${line.ports.dns}`,
    caFile: expect.stringMatching(/ca\.pem$/) as string,
    tenants: [{ name: 'm', namespaces: ['n1', 'n2'], users: [{ user: 'n', password: 'n01' }] }],
    replica: null,
  })
  expect((await send(line, 0, 'PUT', '/rest/a', 'text'))[0]).toBe(201)
  expect(await send(line, 3, 'GET', '/rest/a')).toEqual([200, 'text'])
  const state = await fetch(`http://127.0.0.1:${line.ports.control}/`)
  expect(await state.json()).toMatchObject({ domain: 'hcp1.test', nodes: line.nodes })

  const servername = `n1.m.${line.domain}`
  const options = {
    host: line.nodes[1]!,
    port: line.ports.https,
    ca: await readFile(line.caFile),
    servername,
  }
  const secure = connectTls(options)
  await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject))
  secure.destroy()

  child.kill('SIGTERM')
  const { code, stdout, stderr } = await exit
  expect(code).toBe(0)
  expect(stdout).toBe(`${JSON.stringify(line)}\n`)
  expect(stderr).toMatch(/hcp1\.test is ready: 4 nodes/)
  expect(existsSync(line.caFile)).toBe(false)
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with 0, open connections or not', async (signal) => {
  const { child, ready, exit } = run('--quiet', '--nodes', '2', '--domain', 'hcp.example')
  const { ports, domain } = await ready
  const idle = await open(ports.http, '127.0.0.2')
  const control = await open(ports.control, '127.0.0.1')
  const dns = await open(ports.dns, '127.0.0.1')
  const mapi = await open(ports.mapi, '127.0.0.1')
  const uploading = await open(ports.http, '127.0.0.1')
  const head = [`PUT /rest/a HTTP/1.1`, `Host: n1.m.${domain}`, `Authorization: ${authorization}`]
  uploading.write([...head, 'Content-Length: 1000000', 'Expect: 100-continue', '', ''].join('\r\n'))
  const hundred = await new Promise((resolve) => uploading.once('data', resolve))
  expect(String(hundred)).toMatch(/^HTTP\/1\.1 100 /)
  uploading.write('begun')

  const start = performance.now()
  child.kill(signal)
  child.kill(signal)
  expect(await exit).toMatchObject({ code: 0, signal: null, stderr: '' })
  expect(performance.now() - start).toBeLessThan(9_000)
  for (const socket of [idle, control, dns, mapi, uploading]) socket.destroy()
})

test('SIGTERM ends it with 0 while objects go to the other system over a slow link', async () => {
  const { child, ready, exit } = run('--quiet', '--nodes', '1', '--replica-domain', 'hcp2.test')
  const line = await ready
  const control = `http://127.0.0.1:${line.ports.control}/replication/faults`
  const fault = JSON.stringify({ kind: 'slow', bytesPerSecond: 1_000 })
  expect((await fetch(control, { method: 'POST', body: fault })).status).toBe(201)
  for (const name of ['a', 'b', 'c'])
    expect((await send(line, 0, 'PUT', `/rest/${name}`, name.repeat(3_000_000)))[0]).toBe(201)
  child.kill('SIGTERM')
  expect(await exit).toMatchObject({ code: 0, signal: null, stderr: '' })
})

test('--data keeps what was acknowledged over a kill, and the authority', async () => {
  const data = join(directory, 'data')
  const first = run('--data', data, '--nodes', '1')
  const before = await first.ready
  const authority = await readFile(before.caFile, 'utf8')
  expect(before.caFile.startsWith(data)).toBe(true)
  expect((await send(before, 0, 'PUT', '/rest/kept', 'still here'))[0]).toBe(201)

  const rival = run('--data', data, '--nodes', '1', '--address', '127.0.0.9')
  expect(await rival.exit).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/in use/) as string,
  })

  first.child.kill('SIGKILL')
  expect((await first.exit).signal).toBe('SIGKILL')
  const second = run('--data', data, '--nodes', '1')
  const after = await second.ready
  expect(await send(after, 0, 'GET', '/rest/kept')).toEqual([200, 'still here'])
  expect(await readFile(after.caFile, 'utf8')).toBe(authority)
  second.child.kill('SIGTERM')
  expect((await second.exit).code).toBe(0)
})

test('--config decides what there is', async () => {
  const file = join(directory, 'content.json')
  const user = { user: 'reader', password: 'secret' }
  const tenants = [{ name: 't', namespaces: [{ name: 'docs' }], users: [user] }]
  await writeFile(file, `\uFEFF${JSON.stringify({ tenants, release: '8.1' })}`)
  const { child, ready, exit } = run('--config', file, '--nodes', '1')
  expect((await ready).tenants).toEqual([{ name: 't', namespaces: ['docs'], users: [user] }])
  child.kill('SIGTERM')
  expect((await exit).code).toBe(0)
})

describe('says in one line what is wrong', () => {
  test.each<[string[], RegExp]>([
    [['--nodse', '3'], /^hcp-emulator: Unknown option '--nodse'$/],
    [['extra'], /^hcp-emulator: Unexpected argument 'extra'$/],
    [['--domain'], /--domain/],
    [['--domain', '--nodes', '1'], /--domain/],
    [['--quiet=yes'], /--quiet/],
    [['--nodes', 'many'], /^hcp-emulator: --nodes many: must be a whole number/],
    [['--nodes', '0'], /nodes/],
    [['--nodes', '1.5'], /--nodes/],
    [['--http-port', '65536'], /--http-port 65536/],
    [['--dns-port=-1'], /--dns-port/],
    [['--domain', 'no domain'], /domain/],
    [['--address', 'localhost'], /address/],
    [['--replica-domain', 'hcp1.test'], /replicaDomain/],
  ])('%j: exit 2 and the usage', async (args, message) => {
    const { code, stdout, stderr } = await run(...args).exit
    const [line = '', ...rest] = stderr.split('\n')
    expect(line).toMatch(message)
    expect(rest.join('\n')).toMatch(/^usage: hcp-emulator \[--domain hcp1\.test\]/)
    expect([code, stdout]).toEqual([2, ''])
  })

  test.each<[string, string | undefined, RegExp]>([
    ['a file that is not there', undefined, /content\.json: cannot be read \(ENOENT\)$/],
    ['no JSON', '{"tenants": [{"password": "Blue-Kite-42" "x"}]}', /content\.json: is not JSON/],
    ['a bad field', '{"tenants": [{"name": 7}]}', /content\.json: tenants\[0\]\.name: must be string$/],
    [
      'an unknown field',
      '{"tenants": [], "nodes": 5}',
      /content\.json: nodes: is no field of the configuration$/,
    ],
  ])('a configuration with %s: exit 2, the file and the place', async (_what, text, message) => {
    const file = join(directory, 'content.json')
    if (text !== undefined) await writeFile(file, text)
    const { code, stdout, stderr } = await run('--config', file).exit
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr.trimEnd()).toMatch(message)
    expect(stderr.trimEnd()).not.toMatch(/\n|Blue-Kite-42/)
  })

  test('a folder that cannot be made, not even by trying for ever: exit 1', async () => {
    const file = join(directory, 'a file')
    await writeFile(file, '')
    const places = [
      file,
      join(file, 'inside'),
      ...(process.platform === 'linux' ? ['/proc/none/inside'] : []),
    ]
    for (const place of places) {
      const { code, stdout, stderr } = await run('--data', place, '--quiet').exit
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(
        /^hcp-emulator: --data: the folder cannot be used or made \((EEXIST|ENOTDIR|ENOENT)\)\n$/,
      )
    }
  })

  test.each(['http', 'https', 'mapi', 'dns', 'control'])(
    'a %s port in use: exit 1 and the option',
    async (name) => {
      const taken = createServer()
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
      const { port } = taken.address() as AddressInfo
      const { code, stdout, stderr } = await run(`--${name}-port`, String(port), '--nodes', '1', '--quiet')
        .exit
      await new Promise((resolve) => taken.close(resolve))
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toBe(`hcp-emulator: --${name}-port: port ${port} on 127.0.0.1 is in use\n`)
    },
  )
})

test.each([
  ['--help', /^usage: hcp-emulator .*--control-port PORT/s],
  ['--version', /^\d+\.\d+\.\d+\n$/],
])('%s answers on stdout and starts nothing', async (option, text) => {
  const { code, stdout, stderr } = await run(option).exit
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(text)
})
