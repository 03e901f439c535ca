import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { ReplicationClient, type ReplicationClientOptions } from './replication-client.ts'

type EmulatorOptions = NonNullable<Parameters<typeof startEmulator>[0]>

export type SystemName = 'hcp1' | 'hcp2'

const users = [{ user: 'n', password: 'n01' }]
const namespaces = [{ name: 'n1' }]

/** Two emulated systems with an active/active link `a-a` (tenant m) and `a-p` from hcp1 to hcp2 (tenant p); tenant q is on none. */
export class EmulatedPair implements AsyncDisposable {
  readonly hcp: Emulator
  readonly #clients: ReplicationClient[] = []
  readonly #targets: Target[] = []

  static async start(options: EmulatorOptions = {}): Promise<EmulatedPair> {
    const hcp = await startEmulator({
      nodes: 1,
      replicaDomain: 'hcp2.test',
      config: {
        tenants: ['m', 'p', 'q'].map((name) => ({ name, namespaces, users })),
        systemUsers: [
          { user: 'sysadmin', password: 's01', roles: ['ADMINISTRATOR'] },
          { user: 'monitor', password: 'm01', roles: ['MONITOR'] },
        ],
        links: [
          { name: 'a-a', tenants: ['m'] },
          { name: 'a-p', type: 'OUTBOUND', tenants: ['p'] },
        ],
      },
      ...options,
    })
    return new EmulatedPair(hcp)
  }

  private constructor(hcp: Emulator) {
    this.hcp = hcp
  }

  target(name: SystemName, user: string = 'sysadmin', password: string = 's01'): Target {
    const { ready, ca } = this.hcp
    const system = name === 'hcp1' ? ready : ready.replica!
    const target = new Target(`admin.${name}.test`, {
      authorization: new NativeAuthorization(user, password),
      port: system.ports.mapi,
      addresses: [...system.nodes],
      tls: { ca },
    })
    this.#targets.push(target)
    return target
  }

  /** Found by its name, which another system may answer to. */
  namedTarget(name: SystemName): Target {
    const { hcp } = this
    const { ports } = name === 'hcp1' ? hcp.ready : hcp.ready.replica!
    const target = new Target(`admin.${name}.test`, {
      authorization: new NativeAuthorization('sysadmin', 's01'),
      port: ports.mapi,
      nameServers: [hcp.dns],
      cache: false,
      tls: { ca: hcp.ca },
    })
    this.#targets.push(target)
    return target
  }

  client(
    name: SystemName,
    options: ReplicationClientOptions = {},
    target: Target = this.target(name),
  ): ReplicationClient {
    const client = new ReplicationClient(target, {
      retry: { attempts: 2, minDelay: 1, maxDelay: 5 },
      ...options,
    })
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close()
    for (const target of this.#targets) target.close()
    await this.hcp.close()
  }
}
