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
  const namespaces = [
    { name: 'n1', aclUsage: 'ENFORCED' as const },
    { name: 'n2', versioning: true },
  ]
  const users = [{ user: 'n', password: 'n01' }]
  hcp = await startEmulator({ config: { tenants: [{ name: 'm', namespaces, users }] } })
  folder = await mkdtemp(join(tmpdir(), 'hcp-foreign-'))
  const files = {
    '128k': '0123456789abcdef'.repeat(8_192),
    both: 'hello hcp\n<ticket id="7"/>',
    'acl.xml': aclXml,
    'acl.json': aclJson,
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
})
afterAll(async () => {
  await hcp.close()
  await rm(folder, { recursive: true })
})

const hash = 'SHA-256 A2706A20394E48179A86C71E82C360C2960D3652340F9B9FDB355A42E3AC7691'
const aclXml = `<?xml version="1.0" encoding="UTF-8"?>
<accessControlList>
  <grant>
    <grantee><type>group</type><name>all_users</name></grantee>
    <permissions><permission>READ</permission></permissions>
  </grant>
</accessControlList>`
const aclJson =
  '{"grant":[{"grantee":{"name":"n","type":"user"},"permissions":{"permission":["READ","WRITE"]}}]}'

/** What is asked, with the options of curl for it (`@name` is a file), and what must be in the answer, head or body. */
type Row = readonly [path: string, options: readonly string[], answer: RegExp]

const xml = ['-H', 'Content-Type: application/xml']
const json = ['-H', 'Content-Type: application/json']
const asDelete = ['-X', 'DELETE']
const labelHold = (hold: boolean): string[] => [
  '--data-urlencode',
  `label_hold=[{"id":"case 7","hold":${hold}}]`,
]

const inOneVersion: readonly Row[] = [
  ['/a.txt', ['-T', '@128k'], new RegExp(`201 Created[^]*X-HCP-Hash: ${hash}`)],
  ['/a.txt', ['-T', '@128k'], /409 Conflict/],
  ['/a.txt', ['-I'], /200 OK[^]*Content-Length: 131072/],
  ['/a.txt', ['--compressed'], /Content-Encoding: gzip[^]*\r\n\r\n(0123456789abcdef){8192}$/],
  ['/a.txt', ['-r', '16-18'], /206 Partial Content[^]*\r\n\r\n012$/],
  ['/a.txt', ['-d', 'index=false'], /200 OK/],

  ['/a.txt?type=acl', ['-T', '@acl.xml', ...xml], /201 Created/],
  ['/a.txt?type=acl', json, /200 OK[^]*\r\n\r\n\{\s*"grant"[^]*"all_users"[^]*"READ"[^]*\}\s*$/],
  ['/a.txt?type=acl', ['-T', '@acl.json', ...json], /201 Created/],
  ['/a.txt?type=acl', xml, /200 OK[^]*<name>n<\/name>[^]*>READ<[^]*>WRITE<[^]*<\/accessControlList>\s*$/],
  ['/a.txt?type=acl', asDelete, /200 OK/],

  ['/a.txt', labelHold(true), /200 OK/],
  ['/a.txt', ['-I'], /X-HCP-LabelRetentionHold: true[^]*Hold-Labels: \[\{"id":"case 7","hold":true\}\]/],
  ['/a.txt', asDelete, /403 Forbidden/],
  ['/a.txt', labelHold(false), /200 OK/],

  ['/b.txt?type=whole-object&annotation=ticket', ['-T', '@both', '-H', 'X-HCP-Size: 10'], /201 Created/],
  [
    '/b.txt?type=whole-object&annotation=ticket',
    ['-H', 'X-HCP-CustomMetadataFirst: true'],
    /200 OK[^]*Content-Length: 26\r\n[^]*X-HCP-Size: 10\r\n[^]*\r\n\r\n<ticket id="7"\/>hello hcp\n$/,
  ],
  ['/c.txt', ['-X', 'PUT', '-H', 'X-HCP-CopySource: n1.m/nowhere'], /404 Not Found/],
  [
    '',
    [],
    /200 OK[^]*<directory [^]*<entry urlName="a\.txt"[^]*<entry urlName="b\.txt"[^]*<\/directory>\s*$/,
  ],
  ['', asDelete, /403 Forbidden/],
  ['/a.txt', asDelete, /200 OK/],
  ['/a.txt', [], /404 Not Found/],
]

describe.skipIf(!has('curl'))('curl', () => {
  const curl = async (
    scheme: 'http' | 'https',
    namespace: string,
    path: string,
    options: readonly string[],
  ): Promise<string> => {
    const [host, port] = [`${namespace}.m.hcp1.test`, hcp.ports[scheme]]
    const fixed = ['-sS', '-i', '--noproxy', '*', '--resolve', `${host}:${port}:${hcp.nodes[2]}`]
    const token = 'Authorization: HCP bg==:1dc7fed37e11b35093d311ef66928ad9'
    const given = options.map((option) => option.replace(/^@/, `${folder}/`))
    const url = `${scheme}://${host}:${port}/rest/curl/${scheme}${path}`
    const { stdout } = await run('curl', [...fixed, '--cacert', hcp.caFile, '-H', token, ...given, url])
    return stdout
  }

  test.each(['http', 'https'] as const)(
    'stores, reads, changes, holds, shares and deletes over %s',
    async (scheme) => {
      for (const [path, options, answer] of inOneVersion)
        expect(await curl(scheme, 'n1', path, options), `${path} ${options.join(' ')}`).toMatch(answer)
    },
  )

  test('lists, reads, copies and deletes versions', async () => {
    const ask = (path: string, ...options: string[]): Promise<string> => curl('https', 'n2', path, options)
    await ask('/v', '-T', '@128k')
    await ask('/v', '-T', '@both')
    const list = await ask('/v?version=list')
    expect(list).toMatch(/200 OK[^]*<versions [^]*<\/versions>\s*$/)
    const [first = '', second = '', ...more] = [...list.matchAll(/ version="(\d+)"/g)].map(([, id]) => id)
    expect(more).toEqual([])
    expect(await ask(`/v?version=${first}`)).toMatch(/Content-Length: 131072\r\n/)
    expect(
      await ask('/copy', '-X', 'PUT', '-H', `X-HCP-CopySource: n2.m/curl/https/v?version=${first}`),
    ).toMatch(new RegExp(`201 Created[^]*X-HCP-Hash: ${hash}`))
    expect(await ask(`/v?version=${first}`, '-X', 'DELETE')).toContain('200 OK')
    expect(await ask('/v?version=list')).not.toContain(` version="${first}"`)
    expect(await ask('/v')).toMatch(/hello hcp\n<ticket id="7"\/>$/)
    expect(await ask(`/v?version=${second}`, '-I')).toContain('200 OK')
  })
})

// What Python's hcpsdk does, with the library that it is made of: a node's address, the bare name as Host, token in header and
// cookie, no SNI, no name check, a file object as chunked body, form-encoded parameters. It prints the table of what it got.
const python = `
import base64, hashlib, http.client, json, ssl, sys
from urllib.parse import unquote
from xml.etree import ElementTree
node, port, ca, path, body = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
token = base64.b64encode(b'n').decode() + ':' + hashlib.md5(b'n01').hexdigest()
if ca:
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    connection = http.client.HTTPSConnection(node, port, timeout=10, context=context)
else:
    connection = http.client.HTTPConnection(node, port, timeout=10)
def ask(method, url, content=None, namespace='n1', **headers):
    fixed = {'Host': namespace + '.m.hcp1.test', 'Authorization': 'HCP ' + token, 'Cookie': 'hcp-ns-auth=' + token}
    fixed.update({name.replace('_', '-'): value for name, value in headers.items()})
    connection.request(method, url, body=content, headers=fixed)
    answer = connection.getresponse()
    return answer, answer.read()
def entries(data, *names):
    return [[entry.get(name) for name in names] for entry in ElementTree.fromstring(data)]
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
answer, _ = ask('PUT', path + '%20%26%20%C3%A4?type=directory')
answer, data = ask('GET', path.rpartition('/')[0])
seen.append([answer.status] + entries(data, 'utf8Name', 'type', 'size', 'retentionString'))
seen.append([[unquote(name) for name, in entries(data, 'urlName')]])
answer, _ = ask('DELETE', path + '?privileged=true&reason=a+test')
seen.append([answer.status])

acl = json.dumps({'grant': [{'grantee': {'name': 'all_users', 'type': 'group'}, 'permissions': {'permission': ['READ']}}]})
answer, _ = ask('PUT', path + '.acl', b'shared')
answer, _ = ask('PUT', path + '.acl?type=acl', acl, Content_Type='application/json')
answer, data = ask('GET', path + '.acl?type=acl', Content_Type='application/json')
seen.append([answer.status, json.loads(data) == json.loads(acl)])
answer, data = ask('GET', path + '.acl?type=acl', Content_Type='application/xml')
seen.append([answer.status, [name.text for name in ElementTree.fromstring(data).iter('name')]])

for content in [b'one', b'three']:
    ask('PUT', path, content, namespace='n2')
answer, data = ask('GET', path + '?version=list', namespace='n2')
found = ElementTree.fromstring(data)
first = found[0].get('version')
seen.append([answer.status, [entry.get('size') for entry in found]])
answer, data = ask('GET', path + '?version=' + first, namespace='n2')
seen.append([answer.status, data.decode()])
answer, _ = ask('PUT', path + '.copy', namespace='n2', X_HCP_CopySource='n2.m' + path[5:] + '?version=' + first)
seen.append([answer.status])
answer, _ = ask('DELETE', path + '?version=' + first, namespace='n2')
seen.append([answer.status])

for url in ['/proc/statistics', '/proc', '/proc?single=true', '/proc/retentionClasses', '/proc/permissions']:
    answer, data = ask('GET', url)
    seen.append([answer.status, answer.getheader('Content-Type'), ElementTree.fromstring(data).tag])
print(json.dumps(seen))
`

describe.skipIf(!has('python3'))('requests as the Python hcpsdk sends them', () => {
  test.each(['http', 'https'] as const)('are answered over %s as it expects', async (scheme) => {
    const ca = scheme === 'https' ? hcp.caFile : ''
    const path = `/rest/hcpsdk-${scheme}/object`
    const options = [hcp.nodes[1] ?? '', String(hcp.ports[scheme]), ca, path, join(folder, '128k')]
    const { stdout } = await run('python3', ['-c', python, ...options])
    expect(JSON.parse(stdout)).toEqual([
      [201, hash],
      [200, 'true', 'n'],
      [200, 131_072, '0123456789abcdef0123456789abcdef01234567'],
      [200],
      [403],
      [
        200,
        ['object', 'object', '131072', expect.stringMatching(/^\d{4}-\d\d-\d\dT/)],
        ['object & ä', 'directory', null, null],
      ],
      [['object', 'object & ä']],
      [200],
      [200, true],
      [200, ['all_users']],
      [200, ['3', '5']],
      [200, 'one'],
      [201],
      [200],
      [200, 'text/xml', 'statistics'],
      [200, 'text/xml', 'namespaces'],
      [200, 'text/xml', 'namespaces'],
      [200, 'text/xml', 'retentionClasses'],
      [200, 'text/xml', 'permissions'],
    ])
  })
})
