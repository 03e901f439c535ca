// The logs service as a program of its own: `service.ts URL`. Prints where it is and a token.
import { createLogsService } from '@hcp/logs-api'
import { SignJWT } from 'jose'

const secret = 'a secret of the benchmarks, no secret at all'
const service = await createLogsService({
  database: process.argv[2] ?? '',
  auth: { issuer: 'bench', secret },
})
const { url } = await service.listen({ host: '127.0.0.1', port: 0, metricsPort: 0 })
const token = await new SignJWT({ roles: ['admin', 'system'] })
  .setProtectedHeader({ alg: 'HS256' })
  .setSubject('bench')
  .setIssuer('bench')
  .setIssuedAt()
  .setExpirationTime('1d')
  .sign(new TextEncoder().encode(secret))
process.once('SIGTERM', () => void service.close().then(() => process.exit(0)))
console.log(JSON.stringify({ url, token, pid: process.pid }))
