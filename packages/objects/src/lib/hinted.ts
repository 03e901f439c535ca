import type { HcpResponse } from '@hcp/connection'
import { responseError } from './errors.ts'
import type { CallOptions, Method, ObjectRequests, RequestParts } from './object-requests.ts'

/** Sends a request whose errors say what to do. @param hints By status. */
export async function sendHinted(
  requests: ObjectRequests,
  method: Method,
  path: string,
  options: CallOptions,
  parts: RequestParts,
  hints: Readonly<Record<number, string>>,
): Promise<HcpResponse> {
  const accepted = parts.accept ?? []
  const accept = [...accepted, ...Object.keys(hints).map(Number)]
  const response = await requests.send(method, path, options, { ...parts, accept })
  if (response.ok || accepted.includes(response.status)) return response
  await response.dump()
  throw responseError(response, hints[response.status])
}
