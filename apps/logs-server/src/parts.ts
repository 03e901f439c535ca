import { readFile } from 'node:fs/promises'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import type { LogsServiceOptions, SystemOptions } from '@hcp/logs-api'
import { Logs } from '@hcp/mapi-logs'
import { ObjectClient } from '@hcp/objects'
import type { Config, HcpAccess } from './config.ts'
import { UsageError } from './usage.ts'

/** What the service is made of, and how to give it up. */
export interface Parts extends AsyncDisposable {
  readonly options: LogsServiceOptions
}

/** Makes the clients of the HCP systems that the configuration names. Nothing is sent. */
export async function makeParts(config: Config): Promise<Parts> {
  await using stack = new AsyncDisposableStack()
  const { database, auth, roles, exports, retention, linkBase, trustProxy, maxPage, rateLimit } = config
  const { bodies } = config
  let bodyOptions: LogsServiceOptions['bodies']
  if (bodies !== undefined && bodies !== null) {
    const objects = stack.use(new ObjectClient(stack.use(await targetOf('bodies', bodies))))
    bodyOptions = { objects, ...defined({ path: bodies.path, threshold: bodies.threshold }) }
  }
  const systems: SystemOptions[] = []
  for (const [at, system] of config.systems.entries()) {
    const { id, serial, project } = system
    const logs = stack.use(new Logs(stack.use(await targetOf(`systems[${at}]`, system))))
    systems.push({ id, serial, project, logs })
  }
  const options: LogsServiceOptions = {
    database,
    auth: { issuer: auth.issuer, ...defined(auth) },
    systems,
    exports: { directory: exports.directory, ...defined(exports) },
    ...(bodyOptions === undefined ? {} : { bodies: bodyOptions }),
    ...(roles === undefined ? {} : { roles: defined(roles) }),
    ...(retention === undefined ? {} : { retention: defined(retention) }),
    ...(linkBase === undefined || linkBase === null ? {} : { linkBase }),
    ...(rateLimit === undefined || rateLimit === null ? {} : { rateLimit }),
    ...defined({ trustProxy, maxPage }),
  }
  const parts = stack.move()
  return { options, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** @param where The place in the configuration. @throws {UsageError} */
async function targetOf(where: string, hcp: HcpAccess): Promise<Target> {
  const { fqdn, port, user, password, caFile, nameservers } = hcp
  let ca: string | undefined
  try {
    ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  } catch (error) {
    throw new UsageError(`${where}.caFile cannot be read: ${(error as Error).message}.`)
  }
  try {
    return new Target(fqdn, {
      authorization: new NativeAuthorization(user, password),
      port,
      ...(ca === undefined ? {} : { tls: { ca } }),
      ...(nameservers === undefined ? {} : { nameServers: nameservers }),
    })
  } catch (error) {
    throw new UsageError(`${where} cannot be used: ${(error as Error).message}.`)
  }
}

type Defined<Values> = { [Name in keyof Values]?: Exclude<Values[Name], undefined> }

/** Without what is undefined. */
const defined = <Values extends object>(values: Values): Defined<Values> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<Values>
