import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { createLogsService } from '@hcp/logs-api'
import { LogsClient } from '@hcp/logs-api/client'
import { SignJWT } from 'jose'
import { readConfig, secretsOf } from './config.ts'
import { createLog } from './log.ts'
import { makeParts } from './parts.ts'

/** Two linked HCP systems, and a logs service that uses the first. */
export interface Stage extends AsyncDisposable {
  readonly hcp: Emulator
  readonly folder: string
  readonly url: string
  readonly metrics: string
  /** Of a caller with all roles; holds for a day. */
  readonly token: string
  readonly client: LogsClient
  readonly checks: Checks
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

export const project = 'p-one'
export const system = 'srv-01'

/** What was checked, and what did not hold. */
export class Checks {
  readonly failed: string[] = []
  count = 0
  readonly #say: (line: string) => void

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  that(what: string, holds: boolean): void {
    this.count++
    if (!holds) this.failed.push(what)
    this.#say(`  ${holds ? 'PASSED' : 'FAILED'}  ${what}`)
  }
}

export async function setStage(signal: AbortSignal, say: (line: string) => void): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'hcp-logs-demo-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const hcp = stack.use(
    await startEmulator({ nodes: 2, replicaDomain: 'hcp2.test', choices: { logPreparationMs: 1_000 } }),
  )
  hcp.seedLogs({ bytes: 2_000_000 })
  say(
    `Two HCP systems, ${hcp.domain} and ${hcp.ready.replica!.domain}, replicate over the link ${hcp.ready.link}.`,
  )

  const secret = randomBytes(32).toString('base64url')
  const issuer = 'https://identity.demo.test'
  const nameservers = [hcp.dns]
  const config = {
    database: 'sqlite:./logs.db',
    auth: { issuer, secret },
    bodies: {
      fqdn: `n1.m.${hcp.domain}`,
      port: hcp.ports.https,
      user: 'n',
      password: 'n01',
      caFile: './ca.pem',
      nameservers,
    },
    systems: [
      {
        id: system,
        serial: '2102312QXA',
        project,
        fqdn: `admin.${hcp.domain}`,
        port: hcp.ports.mapi,
        user: 'sysadmin',
        password: 's01',
        caFile: './ca.pem',
        nameservers,
      },
    ],
  }
  await writeFile(join(folder, 'ca.pem'), hcp.ca)
  await writeFile(join(folder, 'config.json'), JSON.stringify(config, null, 2))
  const checked = await readConfig(join(folder, 'config.json'))
  const parts = stack.use(await makeParts(checked))
  const log = createLog(secretsOf(checked))
  // What goes well is told by the demonstration itself.
  log.level = 'warn'
  const service = stack.use(await createLogsService({ ...parts.options, log }))
  const { url, metricsUrl: metrics } = await service.listen()
  say(`The logs service listens at ${url}, with SQLite in ${folder} and long texts in n1.m.${hcp.domain}.`)

  const token = await new SignJWT({
    preferred_username: 'olga',
    roles: ['admin', 'system', 'user'],
    project_id: project,
    jti: randomUUID(),
  })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(issuer)
    .setSubject('olga')
    .setIssuedAt()
    .setExpirationTime('1d')
    .sign(Buffer.from(secret))
  const client = stack.use(new LogsClient(url, { token, signal }))
  const held = stack.move()
  return {
    hcp,
    folder,
    url,
    metrics,
    token,
    client,
    checks: new Checks(say),
    signal,
    say,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
