import { readFile } from 'node:fs/promises'
import { NativeAuthorization } from '@hcp/auth'
import { Connection, Target } from '@hcp/connection'
import { startEmulator } from '@hcp/emulator'
import { MapiClient } from '@hcp/mapi'

/** The system whose tenants are reported. */
export interface ReportedSystem extends AsyncDisposable {
  readonly mapi: MapiClient
}

export interface RealSystem {
  /** `admin.<domain>`. */
  readonly host: string
  readonly user: string
  readonly password: string
  readonly port: number
  /** File with the system's certificate authority, PEM. */
  readonly ca: string | undefined
  readonly nameServers: readonly string[]
}

export async function realSystem({
  host,
  user,
  password,
  port,
  ca,
  nameServers,
}: RealSystem): Promise<ReportedSystem> {
  return reported(
    new Target(host, {
      authorization: new NativeAuthorization(user, password),
      port,
      ...(ca === undefined ? {} : { tls: { ca: await readFile(ca, 'utf8') } }),
      ...(nameServers.length === 0 ? {} : { nameServers }),
    }),
  )
}

/** An emulated one, in which something has been stored and read. */
export async function emulatedSystem(): Promise<ReportedSystem> {
  const hcp = await startEmulator({ nodes: 2 })
  const place = { nameServers: [hcp.dns], tls: { ca: hcp.ca } }
  for (const [namespace, count] of [
    ['n1', 3],
    ['n2', 1],
  ] as const) {
    using target = new Target(`${namespace}.m.hcp1.test`, {
      ...place,
      authorization: new NativeAuthorization('n', 'n01'),
      port: hcp.ports.https,
    })
    await using connection = new Connection(target)
    for (let index = 0; index < count; index++) {
      await connection.put(`/rest/reports/${index}`, Buffer.alloc(100_000))
      await (await connection.get(`/rest/reports/${index}`)).dump()
    }
  }
  const system = reported(
    new Target('admin.hcp1.test', {
      ...place,
      authorization: new NativeAuthorization('sysadmin', 's01'),
      port: hcp.ports.mapi,
    }),
  )
  return {
    mapi: system.mapi,
    async [Symbol.asyncDispose]() {
      await system[Symbol.asyncDispose]()
      await hcp.close()
    },
  }
}

function reported(target: Target): ReportedSystem {
  const mapi = new MapiClient(target)
  return {
    mapi,
    async [Symbol.asyncDispose]() {
      await mapi.close()
      target.close()
    },
  }
}
