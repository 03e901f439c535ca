import { NativeAuthorization } from '@hcp/auth'
import { type ConnectionOptions, Target } from '@hcp/connection'
import type { Emulator } from '@hcp/emulator'
import { ObjectClient } from '../src/lib/object-client.ts'

/** Short pauses, so that what has to be tried again is tried again soon. */
export const quick: ConnectionOptions = {
  headersTimeout: 2_000,
  bodyTimeout: 2_000,
  retry: { minDelay: 1, maxDelay: 5 },
}

/** Works on a namespace of an emulated HCP. */
export function clientOf(
  hcp: Emulator,
  namespace: string = 'n1',
  options: ConnectionOptions = quick,
  user: readonly [string, string] = ['n', 'n01'],
): ObjectClient {
  return new ObjectClient(targetOf(hcp, namespace, user), options)
}

export const targetOf = (
  hcp: Emulator,
  namespace: string = 'n1',
  user: readonly [string, string] = ['n', 'n01'],
): Target =>
  new Target(`${namespace}.m.${hcp.domain}`, {
    authorization: new NativeAuthorization(user[0], user[1]),
    port: hcp.ports.http,
    tls: false,
    addresses: [...hcp.nodes],
  })
