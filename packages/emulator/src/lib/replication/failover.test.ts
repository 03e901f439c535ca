import { Resolver } from 'node:dns/promises'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MapiTester } from '../mapi/mapi.testing.ts'
import { replicaOf, TwoSystems } from './two-systems.testing.ts'

const byText = (one: string, other: string): number => (one < other ? -1 : 1)
const link = '/services/replication/links/hcp1-hcp2'

describe('after a failover', () => {
  let systems: TwoSystems
  let one: MapiTester
  let other: MapiTester
  beforeAll(async () => {
    systems = await TwoSystems.start({
      nodes: 2,
      config: {
        tenants: [
          {
            name: 'm',
            namespaces: [
              { name: 'n1' },
              { name: 'n2', versioning: true },
              { name: 'own', acceptRedirectedRequests: false },
            ],
            users: [
              { user: 'n', password: 'n01' },
              { user: 'admin', password: 'a01', roles: ['ADMINISTRATOR'] },
            ],
          },
          { name: 'apart', namespaces: [{ name: 'n1' }], users: [{ user: 'n', password: 'n01' }] },
        ],
        systemUsers: [{ user: 'sysadmin', password: 's01' }],
        links: [{ name: 'hcp1-hcp2', tenants: ['m'] }],
      },
    })
    const { hcp } = systems
    one = new MapiTester(hcp)
    other = new MapiTester(replicaOf(hcp))
    await systems.one.put('before', 'before')
    await hcp.replicated()
    await systems.one.stop()
    expect(await resolve('n1.m.hcp1.test')).toEqual([])
    await other.change('POST', `${link}?failOver`)
  })
  afterAll(async () => {
    await one[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    await systems[Symbol.asyncDispose]()
  })

  async function resolve(name: string): Promise<string[]> {
    const resolver = new Resolver()
    resolver.setServers([systems.hcp.dns])
    return (await resolver.resolve4(name).catch(() => [])).toSorted(byText)
  }

  test('the names of the one lead to the nodes of the other that are up, on the same ports', async () => {
    const { hcp } = systems
    const { nodes, ports } = hcp.ready.replica!
    expect(ports).toEqual(hcp.ports)
    for (const name of ['n1.m.hcp1.test', 'admin.hcp1.test', 'n1.m.hcp2.test'])
      expect(await resolve(name)).toEqual(nodes)
    await hcp.stopNode(1, 'replica')
    expect(await resolve('n1.m.hcp1.test')).toEqual([nodes[1]])
    await hcp.startNode(1, 'replica')
  })

  const asked = { domain: 'hcp1.test' }
  test('the other serves them, and says who it is', async () => {
    const { other: client } = systems
    const { status, headers, text } = await client.ask('GET', 'before', asked)
    expect([status, text, headers['x-hcp-servicedbysystem']]).toEqual([200, 'before', 'hcp2.test'])
    expect((await client.ask('PUT', 'meanwhile', { ...asked, body: 'm' })).status).toBe(201)
    expect(await client.read('meanwhile')).toBe('m')
  })

  test('only what is on the link and accepts it, and nothing but data', async () => {
    const { other: client } = systems
    expect((await client.ask('GET', '', { ...asked, namespace: 'own' })).status).toBe(403)
    expect((await client.ask('GET', '', { ...asked, namespace: 'none' })).status).toBe(403)
    expect((await client.ask('GET', '/proc/statistics', asked)).status).toBe(403)
    expect((await client.ask('GET', '/rest/', { headers: { host: 'n1.apart.hcp1.test' } })).status).toBe(403)
    expect(
      (await other.call({ path: '/tenants', host: 'admin.hcp1.test', as: ['sysadmin', 's01'] })).status,
    ).toBe(403)
    expect((await client.ask('GET', '', { namespace: 'own' })).status).toBe(200)
  })

  test('the certificate holds for the names of both', async () => {
    const { hcp } = systems
    const { nodes, ports } = hcp.ready.replica!
    const names = ['n1.m.hcp1.test', 'admin.hcp1.test', 'n1.m.hcp2.test']
    for (const servername of names) {
      const socket = connect({ host: nodes[0]!, port: ports.https, ca: hcp.ca, servername })
      await new Promise<void>((done, failed) => socket.once('secureConnect', done).once('error', failed))
      socket.destroy()
    }
  })

  test('the one that is back keeps its names only after the failback', async () => {
    const { hcp } = systems
    await systems.one.start()
    expect(await resolve('n1.m.hcp1.test')).toEqual(hcp.ready.replica!.nodes)
    await other.change('POST', `${link}?failBack`)
    expect(await resolve('n1.m.hcp1.test')).toEqual(hcp.nodes)
    expect((await systems.other.ask('GET', 'before', asked)).status).toBe(403)
    await hcp.replicated()
    expect(await systems.one.read('meanwhile')).toBe('m')
  })

  test('names stay where that is set', async () => {
    const { hcp } = systems
    await one.change('POST', '/services/replication', { enableDNSFailover: false })
    await systems.one.stop()
    await other.change('POST', `${link}?failOver`)
    expect(await resolve('n1.m.hcp1.test')).toEqual([])
    expect((await systems.other.ask('GET', 'before', asked)).status).toBe(403)
    await systems.one.start()
    expect(await resolve('n1.m.hcp1.test')).toEqual(hcp.nodes)
    await other.change('POST', `${link}?failBack`)
  })
})

test('certificates are of one system each where that is chosen', async () => {
  await using systems = await TwoSystems.start({ choices: { synchronizedCertificates: false } })
  const { hcp } = systems
  const { nodes, ports } = hcp.ready.replica!
  const socket = connect({ host: nodes[0]!, port: ports.https, ca: hcp.ca, servername: 'n1.m.hcp1.test' })
  const failed = await new Promise<NodeJS.ErrnoException>((done) => socket.once('error', done))
  expect(failed.code).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
})

test('what the management API makes of a tenant on a link is on both sides, also what was made while apart', async () => {
  await using systems = await TwoSystems.start()
  const { hcp } = systems
  await using mapi = new MapiTester(hcp)
  const make = (name: string): Promise<void> =>
    mapi.change('PUT', '/tenants/m/namespaces', { name, replicationEnabled: true }, 'm')
  await mapi.change('POST', '/tenants/m', { replicationConfigurationEnabled: true })
  await make('new')
  const grant = async (name: string): Promise<void> => {
    const namespacePermission = [
      { namespaceName: name, permissions: { permission: ['READ', 'WRITE', 'BROWSE', 'DELETE'] } },
    ]
    await mapi.change('POST', '/tenants/m/userAccounts/n/dataAccessPermissions', { namespacePermission }, 'm')
    await mapi.change(
      'POST',
      `/tenants/m/namespaces/${name}/protocols/http`,
      { httpEnabled: true, httpsEnabled: true },
      'm',
    )
  }
  await grant('new')
  expect((await systems.one.put('a', 'x', 'new')).status).toBe(201)
  await hcp.replicated()
  expect(await systems.other.read('a', 'new')).toBe('x')
  await systems.other.stop()
  await make('apart')
  await grant('apart')
  expect((await systems.one.put('a', 'y', 'apart')).status).toBe(201)
  await systems.other.start()
  await hcp.replicated()
  expect(await systems.other.read('a', 'apart')).toBe('y')
  expect((await systems.other.put('b', 'z', 'apart')).status).toBe(201)
  await hcp.replicated()
  expect(await systems.one.read('b', 'apart')).toBe('z')
})
