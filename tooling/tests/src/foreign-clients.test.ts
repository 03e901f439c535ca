import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// Clients that were written by others. They are skipped where they are not installed.

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
let folder: string
beforeAll(async () => {
  hcp = await startEmulator()
  folder = await mkdtemp(join(tmpdir(), 'hcp-foreign-'))
  await writeFile(join(folder, '128k'), '0123456789abcdef'.repeat(8_192))
})
afterAll(async () => {
  await hcp.close()
  await rm(folder, { recursive: true })
})

const hash = 'SHA-256 A2706A20394E48179A86C71E82C360C2960D3652340F9B9FDB355A42E3AC7691'

describe.skipIf(!has('curl'))('curl', () => {
  test.each(['http', 'https'] as const)('stores, reads, changes and deletes over %s', async (scheme) => {
    const port = hcp.ports[scheme]
    const url = `${scheme}://n1.m.hcp1.test:${port}/rest/curl/${scheme}.txt`
    const curl = async (...options: string[]): Promise<string> => {
      const fixed = ['-sS', '-i', '--noproxy', '*', '--resolve', `n1.m.hcp1.test:${port}:${hcp.nodes[2]}`]
      const token = 'Authorization: HCP bg==:1dc7fed37e11b35093d311ef66928ad9'
      const { stdout } = await run('curl', [...fixed, '--cacert', hcp.caFile, '-H', token, ...options])
      return stdout
    }
    expect(await curl('-T', join(folder, '128k'), url)).toMatch(
      new RegExp(`201 Created[^]*X-HCP-Hash: ${hash}`),
    )
    expect(await curl('-T', join(folder, '128k'), url)).toContain('409 Conflict')
    expect(await curl('-I', url)).toMatch(/200 OK[^]*Content-Length: 131072/)
    expect(await curl('--compressed', url)).toMatch(
      /Content-Encoding: gzip[^]*\r\n\r\n(0123456789abcdef){8192}$/,
    )
    expect(await curl('-r', '16-18', url)).toMatch(/206 Partial Content[^]*\r\n\r\n012$/)
    expect(await curl('-d', 'index=false', url)).toContain('200 OK')
    expect(await curl('-X', 'DELETE', url)).toContain('200 OK')
    expect(await curl(url)).toContain('404 Not Found')
  })
})

// What Python's hcpsdk does, with the library that it is made of: a node's address, the bare name as Host, token in header and
// cookie, no SNI, no name check, a file object as chunked body, form-encoded parameters.
const python = `
import base64, hashlib, http.client, json, ssl, sys
node, port, ca, path, body = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
token = base64.b64encode(b'n').decode() + ':' + hashlib.md5(b'n01').hexdigest()
fixed = {'Host': 'n1.m.hcp1.test', 'Authorization': 'HCP ' + token, 'Cookie': 'hcp-ns-auth=' + token}
if ca:
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    connection = http.client.HTTPSConnection(node, port, timeout=10, context=context)
else:
    connection = http.client.HTTPConnection(node, port, timeout=10)
def ask(method, url, content=None):
    connection.request(method, url, body=content, headers=fixed)
    answer = connection.getresponse()
    return answer, answer.read()
seen = []
with open(body, 'rb') as content:
    answer, _ = ask('PUT', path + '?index=true&shred=true', content)
    seen.append([answer.status, answer.getheader('X-HCP-Hash')])
answer, _ = ask('HEAD', path)
seen.append([answer.status, answer.getheader('X-HCP-Shred'), answer.getheader('X-HCP-Owner')])
answer, data = ask('GET', path)
seen.append([answer.status, len(data), data[:40].decode()])
answer, _ = ask('POST', path + '?retention=A%2B1y', '')
seen.append([answer.status])
answer, _ = ask('DELETE', path)
seen.append([answer.status])
answer, _ = ask('DELETE', path + '?privileged=true&reason=a+test')
seen.append([answer.status])
for url in ['/proc/statistics', '/proc', '/proc?single=true', '/proc/retentionClasses', '/proc/permissions']:
    answer, data = ask('GET', url)
    seen.append([answer.status, answer.getheader('Content-Type'), data.decode().startswith('<?xml')])
print(json.dumps(seen))
`

describe.skipIf(!has('python3'))('requests as the Python hcpsdk sends them', () => {
  test.each(['http', 'https'] as const)('are answered over %s as it expects', async (scheme) => {
    const ca = scheme === 'https' ? hcp.caFile : ''
    const options = [
      hcp.nodes[1] ?? '',
      String(hcp.ports[scheme]),
      ca,
      `/rest/hcpsdk/${scheme}`,
      join(folder, '128k'),
    ]
    const { stdout } = await run('python3', ['-c', python, ...options])
    expect(JSON.parse(stdout)).toEqual([
      [201, hash],
      [200, 'true', 'n'],
      [200, 131_072, '0123456789abcdef0123456789abcdef01234567'],
      [200],
      [403],
      [200],
      ...Array.from({ length: 5 }, () => [200, 'text/xml', true]),
    ])
  })
})
