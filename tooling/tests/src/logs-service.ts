// The logs service as a program of its own: `logs-service.ts PARAMETERS`, in JSON. Prints where it is, and tokens.
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { createLogsService, type SystemOptions } from '@hcp/logs-api'
import { Logs } from '@hcp/mapi-logs'
import { SignJWT } from 'jose'

export interface ServiceParameters {
  readonly database: string
  readonly folder: string
  readonly mapi?: number
  readonly dns?: string
  readonly ca?: string
  readonly pollInterval?: number
}

const {
  database,
  folder,
  mapi,
  dns,
  ca,
  pollInterval = 50,
} = JSON.parse(process.argv[2] ?? '{}') as ServiceParameters
const secret = 'a secret of the tests, no secret at all'

function systems(): SystemOptions[] {
  if (mapi === undefined || dns === undefined || ca === undefined) return []
  const target = new Target('admin.hcp1.test', {
    authorization: new NativeAuthorization('sysadmin', 's01'),
    port: mapi,
    nameServers: [dns],
    tls: { ca },
  })
  return [{ id: 'srv-01', serial: '2102312QXA', project: 'p-one', logs: new Logs(target) }]
}

const service = await createLogsService({
  database,
  auth: { issuer: 'tests', secret },
  systems: systems(),
  exports: { directory: folder, pollInterval },
  log: {
    info: () => {},
    warn: (facts, message) => console.error(message, facts),
    error: (facts, message) => console.error(message, facts),
  },
})
const { url, metricsUrl } = await service.listen({ host: '127.0.0.1', port: 0, metricsPort: 0 })

const token = (subject: string, claims: object): Promise<string> =>
  new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuer('tests')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret))
const tokens = {
  admin: await token('ada', { roles: ['admin'], project_id: 'p-one' }),
  system: await token('job', { roles: ['system'] }),
  user: await token('uma', { roles: ['user'], groups: ['users'], project_id: 'p-one' }),
  nobody: await token('nemo', {}),
}
process.once('SIGTERM', () => {
  void service.close().then(() => process.exit(0))
})
console.log(JSON.stringify({ url, metrics: new URL(metricsUrl).origin, tokens }))
