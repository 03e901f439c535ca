import { AnswerBody } from './answer-body.ts'
import type { Call } from './call.ts'
import { HcpClosedError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Plan } from './request-plan.ts'
import { HcpResponse } from './response.ts'
import { compareStored, type Finding } from './stored-object.ts'

const makesDirectory = /[?&]type=directory(?:&|$)/

/**
 * What a HEAD, sent after a PUT whose answer was lost, tells about that PUT.
 *
 * @throws what the body's source throws when it is read again.
 */
export async function findingOf(plan: Plan, exchange: Exchange, head: HcpResponse): Promise<Finding> {
  const { call, source, headers, query } = plan
  if (makesDirectory.test(query)) {
    if (head.status === 404) return { kind: 'absent' }
    return { kind: head.header('x-hcp-type') === 'directory' ? 'stored' : 'unknown' }
  }
  // HCP stores such a body decompressed, and names the hash of that.
  if (headers['content-encoding'] !== undefined) return { kind: head.status === 404 ? 'absent' : 'unknown' }
  const size = headers['x-hcp-size']
  const object = {
    source,
    sent: exchange.bodySent ? exchange.sendHash : undefined,
    dataSize: size === undefined ? undefined : Number(size),
    query,
  }
  return compareStored(head, object, call)
}

/** The answer to a PUT whose own answer was lost, made of the HEAD that proved it. */
export function settledAnswer(call: Call, head: HcpResponse): HcpResponse {
  const { 'content-length': _length, ...headers } = head.headers
  const body = new AnswerBody(
    { pause: () => {}, resume: () => {}, abandon: () => {}, givenUp: () => new HcpClosedError('') },
    0,
  )
  body.finish()
  const timing = { ...head.timing, total: call.elapsed }
  return new HcpResponse(
    {
      status: 201,
      statusText: 'Created',
      headers,
      method: call.method,
      url: call.url,
      address: head.address,
      system: call.system,
      attempts: call.attempts,
      settled: true,
      doubtful: false,
      timing: () => timing,
    },
    body,
  )
}
