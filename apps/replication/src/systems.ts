import { readFile } from 'node:fs/promises'
import { NativeAuthorization } from '@hcp/auth'
import { Target, type TargetOptions } from '@hcp/connection'
import type { Emulator } from '@hcp/emulator'
import { ReplicationClient } from '@hcp/mapi-replication'

/** The two systems of a link. */
export interface Systems extends AsyncDisposable {
  /** The one that takes over; everything is asked of it. */
  readonly survivor: ReplicationClient
  /** The other one, if it is known. */
  readonly failed: ReplicationClient | undefined
  /** Only where both are emulated: switches the other one off and on. */
  readonly power: ((on: boolean) => Promise<void>) | undefined
}

export interface RealSystems {
  readonly system: string
  readonly other: string | undefined
  readonly user: string
  readonly password: string
  readonly port: number
  readonly ca: string | undefined
  readonly nameServers: readonly string[]
}

/** Systems of flesh and blood. */
export async function realSystems(facts: RealSystems): Promise<Systems> {
  const { system, other, user, password, port, ca, nameServers } = facts
  const options: TargetOptions = {
    authorization: new NativeAuthorization(user, password),
    port,
    ...(ca === undefined ? {} : { tls: { ca: await readFile(ca, 'utf8') } }),
    ...(nameServers.length === 0 ? {} : { nameServers }),
  }
  return systemsOf([system, ...(other === undefined ? [] : [other])], () => options)
}

/** Two emulated ones: `hcp2.test` survives. */
export async function emulatedSystems(): Promise<Systems> {
  // Only where it is needed: it is larger than all the rest.
  const { startEmulator } = await import('@hcp/emulator')
  const hcp = await startEmulator({ nodes: 2, replicaDomain: 'hcp2.test' })
  const authorization = new NativeAuthorization('sysadmin', 's01')
  const systems = systemsOf(['admin.hcp2.test', 'admin.hcp1.test'], (fqdn) => {
    const { nodes, ports } = placeOf(hcp, fqdn)
    return { authorization, port: ports.mapi, addresses: [...nodes], tls: { ca: hcp.ca } }
  })
  return {
    ...systems,
    power: (on) => (on ? hcp.startCluster('primary') : hcp.stopCluster('primary')),
    async [Symbol.asyncDispose]() {
      await systems[Symbol.asyncDispose]()
      await hcp.close()
    },
  }
}

function placeOf(hcp: Emulator, fqdn: string): Pick<Emulator['ready'], 'nodes' | 'ports'> {
  const { replica } = hcp.ready
  return replica !== null && fqdn.endsWith(replica.domain) ? replica : hcp.ready
}

function systemsOf(names: readonly string[], optionsOf: (fqdn: string) => TargetOptions): Systems {
  const targets = names.map((fqdn) => new Target(fqdn, optionsOf(fqdn)))
  // A system that is down should be noticed soon; nothing is read that takes long.
  const clients = targets.map((target) => new ReplicationClient(target, { retry: 2, headersTimeout: 20_000 }))
  return {
    survivor: clients[0]!,
    failed: clients[1],
    power: undefined,
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.close()
      for (const target of targets) target.close()
    },
  }
}
