import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type LogsProcess, startLogsService } from './logs-process.ts'

// The three APIs as clients of the originals speak them, through HTTP libraries that are not ours. Skipped where these are not installed.

vi.setConfig({ testTimeout: 60_000 })

const run = promisify(execFile)
const has = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

let hcp: Emulator
let service: LogsProcess
let folder: string
beforeAll(async () => {
  hcp = await startEmulator({ choices: { logPreparationMs: 200 } })
  hcp.seedLogs({ bytes: 300_000 })
  folder = await mkdtemp(join(tmpdir(), 'logs-foreign-'))
  const { mapi } = hcp.ports
  service = await startLogsService({ database: 'sqlite::memory:', folder, mapi, dns: hcp.dns, ca: hcp.ca })
})
afterAll(async () => {
  await service[Symbol.asyncDispose]()
  await hcp.close()
  await rm(folder, { recursive: true })
})

interface Said {
  readonly status: number
  readonly head: string
  readonly text: string
}

/** Bodies of requests are given as JSON. */
async function curl(path: string, ...options: string[]): Promise<Said> {
  const { stdout } = await run('curl', ['-sS', '-i', '--max-time', '30', ...options, `${service.url}${path}`])
  const end = stdout.indexOf('\r\n\r\n')
  const head = stdout.slice(0, end)
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head, text: stdout.slice(end + 4) }
}

const json = ({ text }: Said): never => JSON.parse(text) as never

describe.skipIf(!has('curl'))('curl', () => {
  const bearer = (role: string): string[] => ['-H', `Authorization: Bearer ${service.tokens[role]}`]
  const token = (role: string): string[] => ['-H', `X-Auth-Token: ${service.tokens[role]}`]

  test("API A as IceProd's REST client: bearer, arguments of GET in the query or as a JSON body", async () => {
    const asJson = ['-H', 'Content-Type: application/json']
    const entry = { data: 'reset: second try', name: 'stdlog', dataset_id: 'd1', task_id: 't1' }
    const made = await curl('/logs', ...bearer('system'), ...asJson, '-d', JSON.stringify(entry))
    expect(made.status).toBe(201)
    const { result } = json(made) as { result: string }
    expect(result).toMatch(/^[0-9a-f]{32}$/)
    // curl says of what `-d` sends that it is a form.
    const plain = await curl('/datasets/d1/logs', ...bearer('admin'), '-d', '{"data":"out","task_id":"t1"}')
    expect(plain.status).toBe(201)

    const search = ['-X', 'GET', ...asJson, '-d', '{"name":"stdlog","keys":"data|name"}']
    for (const found of [
      await curl('/logs', ...bearer('system'), ...search),
      await curl('/logs?keys=data%7Cname&name=stdlog', ...bearer('system')),
    ]) {
      expect(found.head).toContain('no-store')
      expect(json(found)).toEqual({ [result]: { log_id: result, data: entry.data, name: 'stdlog' } })
    }
    const grouped = await curl('/datasets/d1/tasks/t1/logs?group=True&order=ASC', ...bearer('admin'))
    expect((json(grouped) as { logs: { name: string }[] }).logs.map(({ name }) => name)).toEqual([
      'stdlog',
      'log',
    ])
    expect(json(await curl('/datasets/d1/tasks/none/logs', ...bearer('admin')))).toEqual({
      code: 404,
      error: 'Log not found',
    })
    expect(json(await curl('/logs'))).toEqual({ code: 403, error: 'authentication failed' })

    const removed = await curl('/datasets/d1/logs', '-X', 'DELETE', ...bearer('admin'))
    const lines = removed.text.trimEnd().split('\n')
    expect(JSON.parse(lines.at(-1)!)).toEqual({ status: 'complete', percent_complete: 100, total: 2 })
    expect(json(await curl(`/logs/${result}`, '-X', 'DELETE', ...bearer('system')))).toEqual({})
  })

  test("API B as Karbor's client: parameters in alphabetical order, pages by the links", async () => {
    for (let number = 0; number < 3; number++) {
      const plan_id = `00000000-0000-4000-8000-00000000000${number}`
      const operation = { operation_type: 'protect', project_id: 'p-one', status: 'available', plan_id }
      const body = JSON.stringify(operation)
      expect((await curl('/v2/operations', ...bearer('admin'), '-d', body)).status).toBe(201)
    }
    const seen: string[] = []
    let path = '/v1/p-one/operation_logs?limit=2&sort=created_at%3Aasc%2Cid&status=available'
    while (path !== '') {
      const page = json(await curl(path, ...token('user'), '-H', 'Accept: application/json')) as {
        operation_logs: { id: string }[]
        operation_logs_links?: { rel: string; href: string }[]
      }
      seen.push(...page.operation_logs.map(({ id }) => id))
      const [next] = page.operation_logs_links ?? []
      path = next === undefined ? '' : next.href.slice(service.url.length)
    }
    expect(new Set(seen).size).toBe(3)
    const one = await curl(`/v1/p-one/operation_logs/${seen[0]}`, ...token('user'))
    expect(json(one)).toMatchObject({ operation_log: { id: seen[0], project_id: 'p-one' } })
    expect(one.head.toLowerCase()).toMatch(/x-openstack-request-id: req-/)
    const wrong = await curl('/v1/p-two/operation_logs', ...token('user'))
    expect(json(wrong)).toEqual({ badRequest: { code: 400, message: 'Malformed request url' } })
    expect((await curl('/v1/p-one/operation_logs')).status).toBe(401)
  })

  test("API C as CloudDC's SDK: the export, its status, and the archive in a file, resumed", async () => {
    const base = '/v1/p-one/physicalservers/srv-01/logs/exports'
    const asJson = ['-H', 'Content-Type: application/json']
    const begun = await curl(base, ...token('user'), ...asJson, '-d', '{ }')
    expect(begun.status).toBe(202)
    const { export_id: id } = json(begun) as { export_id: string }
    expect(begun.head.toLowerCase()).toContain(`location: ${base}/${id}`)
    await expect
      .poll(async () => json(await curl(`${base}/${id}`, ...token('user'))), { timeout: 30_000 })
      .toMatchObject({ export_id: id, status: 'completed', percentage: '100%' })
    const file = join(folder, 'a.tar.gz')
    const content = `${service.url}${base}/${id}/content`
    await run('curl', ['-sSf', ...token('user'), '-r', '0-999', '-o', file, content])
    await run('curl', ['-sSf', ...token('user'), '-C', '-', '-o', file, content])
    const { stdout } = await run('tar', ['-tzf', file])
    expect(stdout).toContain('manifest.csv')
    // With the name that the service gives it.
    await run('curl', ['-sSf', ...token('user'), '-OJ', content], { cwd: folder })
    expect((await run('tar', ['-tzf', join(folder, '2102312QXA-dump.tar.gz')])).stdout).toBe(stdout)
    expect(json(await curl(`${base}/${id}`))).toEqual({
      error_code: 'iMetal.0003',
      error_msg: 'Unauthorized',
    })
  })
})

const python = `
import http.client, json, sys, time, urllib.parse, tarfile, io
url, tokens = sys.argv[1], json.loads(sys.argv[2])
connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)
def ask(method, path, headers, args=None, body=None):
    if args: path += '?' + urllib.parse.urlencode(sorted(args.items()))
    if body is not None:
        body, headers = json.dumps(body), {**headers, 'Content-Type': 'application/json'}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    return response, content
def bearer(role): return {'Authorization': 'bearer ' + tokens[role]}
def token(role): return {'X-Auth-Token': tokens[role], 'User-Agent': 'python-karborclient', 'Accept': 'application/json'}

# A: arguments in the body, of GET too; text beyond ASCII is escaped, as json.dumps does
response, content = ask('POST', '/logs', bearer('system'), body={'data': 'Gr\\u00fc\\u00dfe \\U0001f600', 'dataset_id': 'py', 'name': 'stdout'})
assert response.status == 201, content
log_id = json.loads(content)['result']
response, content = ask('GET', '/logs', bearer('system'), body={'dataset_id': 'py', 'keys': 'log_id|data', 'limit': 5})
assert json.loads(content) == {log_id: {'log_id': log_id, 'data': 'Gr\\u00fc\\u00dfe \\U0001f600'}}, content
response, content = ask('DELETE', '/datasets/py/logs', bearer('admin'))
assert response.getheader('Content-Type').startswith('application/x-ndjson'), response.getheaders()
assert json.loads(content.splitlines()[-1])['status'] == 'complete', content

# B
response, content = ask('POST', '/v2/operations', bearer('admin'), body={'operation_type': 'copy', 'project_id': 'p-one', 'status': 'success'})
assert response.status == 201, content
response, content = ask('GET', '/v1/p-one/operation_logs', token('user'), {'sort_key': 'created_at', 'sort_dir': 'desc', 'limit': 1})
assert json.loads(content)['operation_logs'][0]['operation_type'] == 'copy', content
response, content = ask('GET', '/v1/p-one/operation_logs', token('admin'), {'all_tenants': 1, 'status': 'success'})
assert response.status == 200 and len(json.loads(content)['operation_logs']) >= 1, content

# C
base = '/v1/p-one/physicalservers/srv-01/logs/exports'
response, content = ask('POST', base, token('user'))
assert response.status == 202, content
task = json.loads(content)
while task['status'] == 'processing':
    time.sleep(0.1)
    response, content = ask('GET', base + '/' + task['export_id'], token('user'))
    task = json.loads(content)
assert task['status'] == 'completed', task
response, content = ask('GET', base + '/' + task['export_id'] + '/content', token('user'))
assert response.getheader('Content-Type') == 'application/octet-stream;charset=UTF-8'
names = tarfile.open(fileobj=io.BytesIO(content), mode='r:gz').getnames()
assert any(name.endswith('manifest.csv') for name in names), names
print('ok')
`

test.skipIf(!has('python3'))(
  'the three APIs through http.client of Python, over one connection',
  async () => {
    const program = join(folder, 'foreign.py')
    await writeFile(program, python)
    const { stdout } = await run('python3', [program, service.url, JSON.stringify(service.tokens)])
    expect(stdout).toBe('ok\n')
  },
)
