import { NativeAuthorization } from '@hcp/auth'
import { request } from 'undici'
import { startBareServer, startChild } from './child.ts'
import { checked, undiciClient } from './clients.ts'
import { content, kibibyte, sizeName } from './content.ts'
import { compare, type Comparison, contest, type Pace, type Score } from './contest.ts'

const wanted = 0.5
const inFlight = 32

/** What of the emulator's ready line is used here. */
interface Ready {
  readonly domain: string
  readonly ports: { readonly http: number }
}

/** The emulator as a server, against the bare one: the same client, the same answer. */
export async function measureEmulator(pace: Pace): Promise<readonly Comparison[]> {
  await using server = await startBareServer()
  const program = new URL('cli.ts', import.meta.resolve('@hcp/emulator'))
  await using emulator = await startChild(program, '--nodes', '1', '--quiet')
  const { domain, ports } = emulator.line as Ready

  const size = kibibyte
  const path = '/rest/bench'
  const authorization = new NativeAuthorization('n', 'n01')
  const headers = { ...(await authorization.headers()), host: `n1.m.${domain}` }
  const stored = await request(`http://127.0.0.1:${ports.http}${path}`, {
    method: 'PUT',
    headers,
    body: content(size),
  })
  await stored.body.dump()
  checked(stored.statusCode === 201, `PUT ${path}`)

  const contestants = [
    undiciClient(server.port, 'GET', size, inFlight, { name: 'node:http' }),
    undiciClient(ports.http, 'GET', size, inFlight, { name: 'emulator', path, headers }),
  ]
  const [bare, emulated] = (await contest(contestants, inFlight, pace)) as [Score, Score]
  return [compare(`GET ${sizeName(size)}, ${inFlight} in flight`, emulated, bare, wanted)]
}
