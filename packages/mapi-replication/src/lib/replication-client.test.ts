import { NativeAuthorization } from '@hcp/auth'
import { Connection, ReplicaStrategy, Target } from '@hcp/connection'
import { MapiClient, MapiDocumentError } from '@hcp/mapi'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { linkXml, MapiServer, type Reply } from './mapi-server.testing.ts'
import { ReplicationClient } from './replication-client.ts'

let server: MapiServer
let replication: ReplicationClient
beforeAll(async () => {
  server = await MapiServer.start(() => '')
  replication = server.client()
})
afterAll(() => server[Symbol.asyncDispose]())

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

describe('what is asked of HCP', () => {
  const connection = { remoteHost: ['10.0.0.1', '10.0.0.2'] }
  test.each<[string, () => Promise<unknown>, string, string]>([
    [
      'changeSettings',
      () => replication.changeSettings({ enableDNSFailover: true }),
      'POST ',
      '<replicationService><enableDNSFailover>true</enableDNSFailover></replicationService>',
    ],
    [
      'shutDownAllLinks',
      () => replication.shutDownAllLinks('move of the rack'),
      'POST ?shutDownAllLinks=move%20of%20the%20rack',
      '',
    ],
    ['reestablishAllLinks', () => replication.reestablishAllLinks(), 'POST ?reestablishAllLinks=', ''],
    [
      'createLink',
      () => replication.createLink({ name: 'a b', type: 'OUTBOUND', connection }),
      'PUT /links',
      '<link><name>a b</name><type>OUTBOUND</type><connection><remoteHost>10.0.0.1, 10.0.0.2</remoteHost></connection></link>',
    ],
    [
      'changeLink',
      () => replication.changeLink('a b', { priority: 'FAIR', description: '' }),
      'POST /links/a%20b',
      '<link><priority>FAIR</priority><description/></link>',
    ],
    ['deleteLink', () => replication.deleteLink('a b', { unchecked: true }), 'DELETE /links/a%20b', ''],
    [
      'add a tenant',
      () => replication.add('l', 'tenants', 'Finance'),
      'PUT /links/l/content/tenants/Finance',
      '',
    ],
    [
      'add a directory',
      () => replication.add('l', 'defaultNamespaceDirectories', 'a/b'),
      'PUT /links/l/content/defaultNamespaceDirectories/a%2Fb',
      '',
    ],
    [
      'add a chained link',
      () => replication.add('l', 'chainedLinks', 'm'),
      'PUT /links/l/content/chainedLinks/m',
      '',
    ],
    [
      'remove a tenant',
      () => replication.remove('l', 'tenants', 'Finance'),
      'DELETE /links/l/content/tenants/Finance',
      '',
    ],
    [
      'pauseTenant',
      () => replication.pauseTenant('l', 'Finance'),
      'POST /links/l/content/tenants/Finance?pause=',
      '',
    ],
    [
      'resumeTenant',
      () => replication.resumeTenant('l', 'Finance'),
      'POST /links/l/content/tenants/Finance?resume=',
      '',
    ],
    [
      'changeSchedule',
      () =>
        replication.changeSchedule('l', {
          local: { scheduleOverride: 'NONE', transition: [{ time: 'Mon:07', performanceLevel: 'LOW' }] },
        }),
      'POST /links/l/schedule',
      '<schedule><local><scheduleOverride>NONE</scheduleOverride><transition><time>Mon:07</time><performanceLevel>LOW</performanceLevel></transition></local></schedule>',
    ],
    ['uploadCertificate', () => replication.uploadCertificate(pem), 'PUT /certificates', pem],
    ['deleteCertificate', () => replication.deleteCertificate('7'), 'DELETE /certificates/7', ''],
    ['suspend', () => replication.suspend('a b', { unchecked: true }), 'POST /links/a%20b?suspend=', ''],
  ])('%s sends one request, with a document only where HCP takes one', async (_name, call, request, body) => {
    server.answer = () => ({})
    const since = server.seen.length
    await call()
    expect(server.changes.at(-1)).toBe(request)
    const { body: sent, type } = server.seen.at(-1)!
    expect(sent.replace(/^<\?xml.*?\?>/, '')).toBe(body)
    expect(type === undefined).toBe(body === '')
    expect(server.seen).toHaveLength(since + 1)
  })

  const names = (root: string): string => `<${root}><name>a</name></${root}>`
  const content =
    '<content><defaultNamespaceDirectories><name>brochures</name></defaultNamespaceDirectories><chainedLinks/>' +
    '<tenants><name>Finance</name><name>HR</name></tenants></content>'
  test.each<[string, () => Promise<unknown>, string, string, unknown]>([
    [
      'settings',
      () => replication.settings(),
      '?verbose=true',
      '<replicationService><allowTenantsToMonitorNamespaces>true</allowTenantsToMonitorNamespaces><enableDNSFailover>true</enableDNSFailover>' +
        '<enableDomainAndCertificateSynchronization>true</enableDomainAndCertificateSynchronization><network>[hcp_system]</network></replicationService>',
      {
        allowTenantsToMonitorNamespaces: true,
        enableDNSFailover: true,
        enableDomainAndCertificateSynchronization: true,
        network: '[hcp_system]',
      },
    ],
    [
      'links',
      () => replication.links(),
      '/links',
      '<links><name>a</name><name>b c</name></links>',
      ['a', 'b c'],
    ],
    ['no links', () => replication.links(), '/links', '<links/>', []],
    [
      'linkSettings',
      () => replication.linkSettings('l'),
      '/links/l',
      '<link><name>l</name><type>INBOUND</type><description/></link>',
      { name: 'l', type: 'INBOUND', description: '' },
    ],
    [
      'content',
      () => replication.content('l'),
      '/links/l/content',
      content,
      { defaultNamespaceDirectories: ['brochures'], chainedLinks: [], tenants: ['Finance', 'HR'] },
    ],
    [
      'content of an active/active link',
      () => replication.content('l'),
      '/links/l/content',
      '<content><tenants/></content>',
      { tenants: [] },
    ],
    [
      'members',
      () => replication.members('l', 'chainedLinks'),
      '/links/l/content/chainedLinks',
      names('chainedLinks'),
      ['a'],
    ],
    [
      'localCandidates',
      () => replication.localCandidates('l'),
      '/links/l/localCandidates',
      content,
      expect.objectContaining({ tenants: ['Finance', 'HR'] }),
    ],
    [
      'remoteCandidates',
      () => replication.remoteCandidates('l'),
      '/links/l/remoteCandidates',
      content,
      expect.objectContaining({ tenants: ['Finance', 'HR'] }),
    ],
    [
      'tenant',
      () => replication.tenant('l', 't'),
      '/links/l/content/tenants/t',
      '<tenant><status>AUTO_PAUSED</status><upToDateAsOfMillis>1</upToDateAsOfMillis><objectsPending>3</objectsPending></tenant>',
      { status: 'AUTO_PAUSED', upToDateAsOfMillis: new Date(1), objectsPending: 3 },
    ],
    [
      'schedule',
      () => replication.schedule('l'),
      '/links/l/schedule',
      '<schedule><local><scheduleOverride>NONE</scheduleOverride><transition><time>Mon:07</time><performanceLevel>LOW</performanceLevel></transition></local></schedule>',
      { local: { scheduleOverride: 'NONE', transition: [{ time: 'Mon:07', performanceLevel: 'LOW' }] } },
    ],
    [
      'certificates',
      () => replication.certificates(),
      '/certificates',
      '<certificates><certificate><expiresOn>2031-02-01T00:00:00+0100</expiresOn><id>server</id><subjectDN>CN=*.hcp-a.example.com</subjectDN>' +
        '<validOn>2021-02-01T00:00:00+0100</validOn></certificate></certificates>',
      [
        {
          id: 'server',
          subjectDN: 'CN=*.hcp-a.example.com',
          validOn: new Date('2021-01-31T23:00:00Z'),
          expiresOn: new Date('2031-01-31T23:00:00Z'),
        },
      ],
    ],
    ['certificate', () => replication.certificate(), '/certificates/server', pem, pem],
  ])('%s is read as typed values', async (_name, call, path, body, value) => {
    server.answer = () => body
    expect(await call()).toEqual(value)
    const { path: asked, query } = server.seen.at(-1)!
    expect(`${asked}${query === '' ? '' : `?${query}`}`.replace('/links/l?verbose=false', '/links/l')).toBe(
      path,
    )
  })
})

describe('wrong arguments are refused before anything is sent', () => {
  const connection = { remoteHost: 'replication.hcp2.test' }
  test.each<[string, () => unknown]>([
    ['no name', () => replication.link('')],
    ['a name that is too long', () => replication.suspend('x'.repeat(65))],
    ['a name that is none', () => replication.watch(7 as never)],
    ['an unknown action', () => replication.setReplicationLinkState('l', 'failover' as never)],
    ['an unknown type', () => replication.setReplicationLinkState('l', 'suspend', 'inbound' as never)],
    ['no reason', () => replication.shutDownAllLinks('')],
    ['a reason that is too long', () => replication.shutDownAllLinks('x'.repeat(1025))],
    ['a status among the settings', () => replication.changeSettings({ status: 'ENABLED' })],
    ['no settings', () => replication.changeSettings({})],
    ['a negative time', () => replication.changeSettings({ connectivityTimeoutSeconds: -1 })],
    [
      'a new link without a remote host',
      () => replication.createLink({ name: 'l', type: 'OUTBOUND', connection: {} as never }),
    ],
    ['a new link of no type', () => replication.createLink({ name: 'l', type: 'x' as never, connection })],
    ['a port that is none', () => replication.changeLink('l', { connection: { remotePort: 65_536 } })],
    [
      'failing over too soon',
      () => replication.changeLink('l', { failoverSettings: { local: { autoFailoverMinutes: 6 } } }),
    ],
    [
      'a recovery on active/active',
      () =>
        replication.changeLink('l', {
          type: 'ACTIVE_ACTIVE',
          failoverSettings: { local: { autoCompleteRecovery: true } },
        }),
    ],
    ['a description that is too long', () => replication.changeLink('l', { description: 'x'.repeat(1025) })],
    [
      'an echo of what was read with status',
      () => replication.changeLink('l', { name: 'l', suspended: true } as never),
    ],
    ['a kind that is none', () => replication.add('l', 'tenant' as never, 't')],
    [
      'an hour that is none',
      () =>
        replication.changeSchedule('l', {
          local: { transition: [{ time: 'Mon:24', performanceLevel: 'LOW' }] },
        }),
    ],
    ['a side that is none', () => replication.changeSchedule('l', { both: {} } as never)],
    ['a schedule that is none', () => replication.changeSchedule('l', null as never)],
    ['a schedule of nothing', () => replication.changeSchedule('l', {})],
    [
      'transitions that are no list',
      () => replication.changeSchedule('l', { local: { transition: 5 as never } }),
    ],
    ['a connection that is none', () => replication.changeLink('l', { connection: null as never })],
    [
      'a failover rule that is none',
      () => replication.changeLink('l', { failoverSettings: { local: 'x' as never } }),
    ],
    ['a certificate that is none', () => replication.uploadCertificate('MIIB')],
    ['a private key', () => replication.uploadCertificate(`${pem}-----BEGIN EC PRIVATE KEY-----\n`)],
    ['an interval that is a busy loop', () => replication.watch('l', { interval: 0 })],
    ['a deadline that is none', () => replication.waitFor('l', () => true, { deadline: 0 })],
    ['no condition', () => replication.waitFor('l', 'good' as never)],
  ])('%s', async (_what, call) => {
    const since = server.seen.length
    const error = await Promise.resolve()
      .then(call)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      )
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
    expect(String(error)).toMatch(/\w+ \w+ \w+/)
    expect(server.seen).toHaveLength(since)
  })
  test('a host that is a tenant’s', () => {
    expect(() => server.client({}, 'm.hcp1.test')).toThrow(/admin\.<domain>/)
  })
  test('a target with a replica: it could be the other system that answers', () => {
    using target = new Target('admin.hcp1.test', {
      port: 9090,
      authorization: new NativeAuthorization('u', 'p'),
      replica: { fqdn: 'admin.hcp2.test', strategy: [ReplicaStrategy.readOnFailover] },
    })
    expect(() => new ReplicationClient(target)).toThrow(RangeError)
  })
  test('options that a MapiClient has already', async () => {
    await using mapi = new MapiClient(server.target())
    expect(() => new ReplicationClient(mapi, { format: 'json' })).toThrow(TypeError)
    expect(() => new ReplicationClient(mapi, { onAction: 'x' as never })).toThrow(TypeError)
  })
})

test.each<[string, Reply, RegExp]>([
  [
    'a web page',
    { headers: { 'content-type': 'text/html' }, body: '<html>Login</html>' },
    /it is a web page/,
  ],
  ['nothing', { body: ' \n' }, /it is empty/],
  ['too much', { body: 'x'.repeat(1024 ** 2 + 1) }, /more than 1048576 bytes/],
])('%s is no certificate', async (_what, reply, words) => {
  server.answer = () => reply
  await expect(replication.certificate()).rejects.toSatisfy(
    (error) => error instanceof MapiDocumentError && words.test(error.message),
  )
})

test('what was passed in is left open, what was made is closed', async () => {
  server.answer = () => '<links/>'
  await using connection = new Connection(server.target())
  await using mapi = new MapiClient(connection)
  for (const source of [mapi, connection]) await new ReplicationClient(source).close()
  expect(await new ReplicationClient(mapi).links()).toEqual([])
  const own = new ReplicationClient(server.target())
  await own.close()
  await expect(own.links()).rejects.toMatchObject({ code: 'HCP_CLOSED' })
})

test('a link that is not suspended is not deleted', async () => {
  server.answer = ({ method }) => (method === 'GET' ? linkXml() : {})
  const since = server.changes.length
  await expect(replication.deleteLink('north-south')).rejects.toMatchObject({
    code: 'REPLICATION_GUARD',
    rule: 'state',
    action: 'deleteLink',
    link: 'north-south',
  })
  expect(server.changes).toHaveLength(since)
  server.answer = ({ method }) => (method === 'GET' ? linkXml({ suspended: true }) : {})
  await replication.deleteLink('north-south')
  expect(server.changes.slice(since)).toEqual(['DELETE /links/north-south'])
})

test('no password, token or query is in any message', async () => {
  server.answer = () => ({ status: 403, headers: { 'x-hcp-errormessage': 'no' } })
  const target = new Target('admin.hcp1.test', { authorization: new NativeAuthorization('u', 'Secret-1') })
  target.close()
  const calls = [
    replication.links(),
    replication.shutDownAllLinks('Secret-reason'),
    replication.suspend('l', { unchecked: true }),
  ]
  for (const call of calls) {
    const error: unknown = await call.catch((reason: unknown) => reason)
    const shown = `${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)}`
    expect(shown).not.toMatch(/Secret|s01|[0-9a-f]{32}/)
  }
})
