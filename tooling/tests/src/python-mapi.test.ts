import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// The management calls of Python's hcpsdk, with the library that it is made of: a node's address, the bare name as Host, token in
// header and cookie, no SNI, documents as it sends them, and answers read as strictly as it reads them. Skipped without Python.

const run = promisify(execFile)
const hasPython = (() => {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ replicaDomain: 'hcp2.test' })
})
afterAll(() => hcp.close())

const client = `
import base64, hashlib, http.client, io, json, ssl, sys, tarfile, time, zipfile
from urllib.parse import urlencode
from xml.etree import ElementTree
node, port, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3]
token = base64.b64encode(b'sysadmin').decode() + ':' + hashlib.md5(b's01').hexdigest()
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
connection = http.client.HTTPSConnection(node, port, timeout=30, context=context)
def ask(method, url, content=None, params=None, host='admin.hcp1.test', **headers):
    fixed = {'Host': host, 'Authorization': 'HCP ' + token, 'Cookie': 'hcp-ns-auth=' + token}
    fixed.update({name.replace('_', '-'): value for name, value in headers.items()})
    connection.request(method, url + ('?' + urlencode(params) if params else ''), body=content, headers=fixed)
    return connection.getresponse()
def leaves(element, depth=0):
    # An element with text is a leaf, one without is a dictionary of its children: three levels at most.
    return {child.tag: child.text if child.text else leaves(child, depth + 1) for child in element}
seen = {}
`

/** Runs the client with `body`, which fills `seen`. */
async function python(body: string): Promise<unknown> {
  const where = [hcp.nodes[1] ?? '', String(hcp.ports.mapi), hcp.caFile]
  const { stdout } = await run('python3', ['-c', `${client}${body}\nprint(json.dumps(seen))`, ...where])
  return JSON.parse(stdout)
}

describe.skipIf(!hasPython)('management calls as the Python hcpsdk makes them', () => {
  test('tenants: the list, and the settings of one', async () => {
    const seen = await python(`
answer = ask('GET', '/mapi/tenants', params={'verbose': 'true'}, Accept='application/json')
seen['list'] = [answer.status, json.loads(answer.read())['name']]
answer = ask('GET', '/mapi/tenants/m', Accept='application/json')
info = json.loads(answer.read())
seen['info'] = [answer.status, info['name'], info['tags']]
`)
    expect(seen).toEqual({ list: [200, ['m']], info: [200, 'm', { tag: [] }] })
  })

  test('replication: settings, links, details with the keys of its manual, a change of state', async () => {
    const seen = (await python(`
base = '/mapi/services/replication'
answer = ask('GET', base)
seen['settings'] = leaves(ElementTree.fromstring(answer.read()))
answer = ask('GET', base + '/links')
seen['links'] = [child.text for child in ElementTree.fromstring(answer.read()) if child.tag == 'name']
link = base + '/links/' + seen['links'][0]
def details():
    return leaves(ElementTree.fromstring(ask('GET', link, params={'verbose': 'true'}).read()))
seen['details'] = details()
seen['states'] = []
for action in ['suspend', 'resume', 'resume', 'failOver', 'failBack']:
    answer = ask('POST', link + '?' + action + '=', '')
    answer.read()
    now = details()
    seen['states'].append([action, answer.status, now['statusMessage'], now['suspended']])
`)) as { settings: object; links: string[]; details: Record<string, object>; states: unknown[] }
    expect(Object.keys(seen.settings)).toEqual(
      expect.arrayContaining([
        'allowTenantsToMonitorNamespaces',
        'enableDNSFailover',
        'enableDomainAndCertificateSynchronization',
        'network',
      ]),
    )
    expect(seen.links).toEqual(['hcp1-hcp2'])
    const { connection, failoverSettings, statistics, ...rest } = seen.details
    expect(Object.keys(rest).toSorted()).toEqual(
      expect.arrayContaining(['compression', 'encryption', 'id', 'name', 'priority']),
    )
    expect(rest).toMatchObject({
      name: 'hcp1-hcp2',
      status: 'GOOD',
      statusMessage: 'Synchronizing data',
      suspended: 'false',
      type: 'ACTIVE_ACTIVE',
    })
    expect(Object.keys(connection ?? {}).toSorted()).toEqual([
      'localHost',
      'localPort',
      'remoteHost',
      'remotePort',
    ])
    expect(failoverSettings).toMatchObject({
      local: { autoFailover: 'false', autoFailoverMinutes: '120' },
      remote: { autoFailover: 'false', autoFailoverMinutes: '120' },
    })
    for (const key of [
      'bytesPending',
      'bytesPendingRemote',
      'bytesPerSecond',
      'bytesReplicated',
      'errors',
      'errorsPerSecond',
      'objectsPending',
      'objectsPendingRemote',
      'objectsReplicated',
      'operationsPerSecond',
      'upToDateAsOfMillis',
      'upToDateAsOfString',
    ])
      expect(statistics, key).toHaveProperty(key, expect.stringMatching(/\d/))
    expect(seen.states).toEqual([
      ['suspend', 200, 'Suspended by user', 'true'],
      ['resume', 200, 'Synchronizing data', 'false'],
      ['resume', 400, 'Synchronizing data', 'false'],
      ['failOver', 200, 'Failed over', 'false'],
      ['failBack', 200, 'Synchronizing data', 'false'],
    ])
  })

  test('logs: prepare, status until ready, download in pieces, mark, cancel', async () => {
    const seen = await python(`
def status():
    answer = ask('GET', '/mapi/logs')
    found = {}
    for child in ElementTree.fromstring(answer.read()):
        found[child.tag] = child.text == 'true' if child.text in ('true', 'false') else child.text.split(',')
    return found
xml = 'application/xml'
answer = ask('POST', '/mapi/logs?cancel=', '', Content_Type=xml)
answer.read()
seen['cancelled'] = answer.status
answer = ask('POST', '/mapi/logs', '', params={'mark': 'a test, quoted'}, Content_Type=xml)
answer.read()
seen['marked'] = answer.status
today = time.strftime('%m/%d/%Y')
prepare = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\\n<logPrepare>\\n  <startDate>01/01/1970</startDate>\\n  <endDate>' + today + '</endDate>\\n  \\n</logPrepare>\\n'
answer = ask('POST', '/mapi/logs/prepare', prepare, Content_Type=xml)
answer.read()
seen['prepared'] = answer.status
answer = ask('POST', '/mapi/logs/prepare', prepare, Content_Type=xml)
answer.read()
seen['again'] = [answer.status, answer.getheader('X-HCP-ErrorMessage')[:14]]
for _ in range(200):
    now = status()
    if now['readyForStreaming']:
        break
    time.sleep(0.1)
seen['status'] = now
download = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\\n<logDownload>\\n    \\n    <snodes></snodes>\\n    <content>ACCESS,SYSTEM,SERVICE,APPLICATION</content>\\n</logDownload>'
answer = ask('POST', '/mapi/logs/download', download, Accept='*/*', Content_Type=xml)
name = answer.getheader('Content-Disposition').split('=')[1]
package = io.BytesIO()
while True:
    piece = answer.read(262144)
    if not piece:
        break
    package.write(piece)
archive = zipfile.ZipFile(package)
names = archive.namelist()
seen['package'] = [answer.status, answer.getheader('Content-Type'), name.startswith('HCPLogs-'), archive.testzip()]
seen['top'] = [sorted({each.split('/')[0] for each in names}) == [name[:-4]], any(each.endswith('/manifest.csv') for each in names)]
lines = []
for each in names:
    if '.tar' not in each:
        continue
    with tarfile.open(fileobj=io.BytesIO(archive.read(each))) as outer:
        for member in outer:
            if 'access-logs-' in member.name:
                with tarfile.open(fileobj=outer.extractfile(member)) as inner:
                    for log in inner:
                        if 'mapi_gateway_request.log' in log.name or 'admin_request.log' in log.name:
                            lines += inner.extractfile(log).read().decode().splitlines()
seen['lines'] = any('POST /mapi/logs/prepare HTTP/1.1" 200' in line for line in lines)
answer = ask('POST', '/mapi/logs?cancel=', '', Content_Type=xml)
answer.read()
seen['done'] = [answer.status, status()['readyForStreaming']]
`)
    expect(seen).toEqual({
      cancelled: 200,
      marked: 200,
      prepared: 200,
      again: [400, 'A log download'],
      status: {
        readyForStreaming: true,
        streamingInProgress: false,
        started: true,
        error: false,
        content: ['ACCESS', 'SYSTEM', 'SERVICE', 'APPLICATION'],
      },
      package: [200, 'application/zip', true, null],
      top: [true, true],
      lines: true,
      done: [200, false],
    })
  })

  test('chargeback: the three formats, total and by the hour', async () => {
    const seen = await python(`
now = time.time()
form = lambda seconds: time.strftime('%Y-%m-%dT%H:%M:%S%z', time.localtime(seconds))
def report(accept, granularity):
    params = {'start': form(now - 180 * 86400), 'end': form(now), 'granularity': granularity, 'prettyprint': 'true'}
    answer = ask('GET', '/mapi/tenants/m/chargebackReport', params=params, Accept=accept)
    return answer.status, answer.getheader('Content-Type'), answer.read().decode()
status, kind, text = report('application/json', 'total')
rows = json.loads(text)['chargebackData']
seen['json'] = [status, kind.split(';')[0], rows[-1].get('namespaceName'), rows[-1]['tenantName'], rows[-1]['deleted']]
status, kind, text = report('text/csv', 'hour')
seen['csv'] = [status, kind.split(';')[0], text.splitlines()[0].split(',')[:4]]
status, kind, text = report('application/xml', 'day')
seen['xml'] = [status, kind.split(';')[0], ElementTree.fromstring(text).tag]
`)
    expect(seen).toEqual({
      json: [200, 'application/json', null, 'm', expect.any(String)],
      csv: [200, 'text/csv', ['systemName', 'tenantName', 'namespaceName', 'startTime']],
      xml: [200, 'application/xml', 'chargebackReport'],
    })
  })

  test('a link whose name has angle brackets, which it sends as they are', async () => {
    const seen = await python(`
xml = 'application/xml'
body = '<link><name>hcp1--&lt;--&gt;--hcp2</name><type>ACTIVE_ACTIVE</type><connection><remoteHost>replication.admin.hcp2.test</remoteHost></connection></link>'
answer = ask('PUT', '/mapi/services/replication/links', body, Content_Type=xml)
answer.read()
seen['made'] = answer.status
answer = ask('GET', '/mapi/services/replication/links/hcp1--<-->--hcp2?verbose=true')
seen['read'] = [answer.status, ElementTree.fromstring(answer.read()).findtext('name')]
`)
    expect(seen).toEqual({ made: 200, read: [200, 'hcp1--<-->--hcp2'] })
  })
})
