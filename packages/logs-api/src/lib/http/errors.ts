import { STATUS_CODES } from 'node:http'
import type { Group } from './access.ts'
import { Refusal } from './refusal.ts'

/** The body of an error. */
export interface ErrorBody {
  readonly type: string
  readonly body: string | Buffer
}

/** @param requestType Content type of the request: OTLP answers in the same. */
export function errorBody(group: Group, refusal: Refusal, requestType?: string): ErrorBody {
  const { status, message, code } = refusal
  switch (group) {
    case 'entries':
      return json({ code: status, error: message }, 'application/json; charset=UTF-8')
    case 'operations':
      if (status === 401) return json({ error: { code: 401, title: 'Unauthorized', message } })
      return json({
        [faults[status] ?? (status < 500 ? 'badRequest' : 'computeFault')]: { code: status, message },
      })
    case 'exports': {
      const known = code ?? exportCodes[status] ?? `HcpLogs.0${status}`
      return json({
        error_code: known,
        error_msg: known === 'iMetal.0001' ? invalidParameter + message : message,
      })
    }
    case 'otlp':
      if (requestType !== undefined && /^\s*application\/x-protobuf\b/i.test(requestType)) {
        return { type: 'application/x-protobuf', body: statusMessage(message) }
      }
      return json({ message })
    default:
      return json(
        { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail: message },
        'application/problem+json; charset=utf-8',
      )
  }
}

function json(value: object, type = 'application/json; charset=utf-8'): ErrorBody {
  return { type, body: JSON.stringify(value) }
}

// As the services of OpenStack name them.
const faults: Readonly<Record<number, string>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  429: 'overLimit',
  503: 'serviceUnavailable',
}

const invalidParameter = 'A request parameter contains invalid or unsupported value: '

const exportCodes: Readonly<Record<number, string>> = {
  400: 'iMetal.0001',
  401: 'iMetal.0003',
  403: 'iMetal.0004',
  429: 'iMetal.0005',
  500: 'iMetal.0099',
}

/** google.rpc.Status with nothing but `message` (field 2). */
function statusMessage(message: string): Buffer {
  const text = Buffer.from(message)
  const head = [0x12]
  let length = text.length
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80)
  head.push(length)
  return Buffer.concat([Buffer.from(head), text])
}

/** The refusal of a request without a token that holds. `why` is said where the group's text leaves room. */
export function unauthenticated(group: Group, tokenCame: boolean): Refusal {
  if (group === 'entries') return new Refusal(403, 'authentication failed')
  const challenge = 'Bearer realm="hcp-logs"'
  const headers = { 'www-authenticate': tokenCame ? `${challenge}, error="invalid_token"` : challenge }
  if (group === 'operations') {
    return new Refusal(401, 'The request you have made requires authentication.', { headers })
  }
  if (group === 'exports') return new Refusal(401, 'Unauthorized', { headers })
  const message = tokenCame
    ? 'The token is not valid here, or no longer. Get a new one.'
    : 'Send a token, as `Authorization: Bearer …` or in `X-Auth-Token`.'
  return new Refusal(401, message, { headers })
}

/** The refusal of a caller that has no role for a route. */
export function unauthorized(group: Group, url: string): Refusal {
  if (group === 'entries') return new Refusal(403, 'authorization failed')
  if (group === 'operations') {
    const action = url.endsWith('/:operation_log_id') ? 'get' : 'list'
    return new Refusal(403, `Policy doesn't allow operation_log:${action} to be performed.`)
  }
  if (group === 'exports') return new Refusal(403, 'Insufficient permissions')
  return new Refusal(403, 'The roles of your token do not allow this.')
}

export function tooMany(group: Group, seconds: number): Refusal {
  const headers = { 'retry-after': String(Math.max(1, seconds)) }
  if (group === 'entries') return new Refusal(429, 'too many requests', { headers })
  if (group === 'exports') return new Refusal(429, 'Too many requests', { headers })
  return new Refusal(429, `Too many requests: wait for ${Math.max(1, seconds)} seconds.`, { headers })
}

export function noSuchPath(group: Group): Refusal {
  return new Refusal(404, group === 'entries' ? 'Not Found' : 'The resource could not be found.')
}

/** The refusal of a method that a path does not have. */
export function wrongMethod(group: Group, methods: readonly string[]): Refusal {
  if (group === 'operations') return noSuchPath(group)
  const allow = methods.join(', ')
  const message = group === 'entries' ? 'Method Not Allowed' : `The methods of this path: ${allow}.`
  return new Refusal(405, message, { headers: { allow } })
}

/** What a caller learns of an error that nobody expected: nothing. */
export function unexpected(group: Group): Refusal {
  return new Refusal(500, group === 'exports' ? 'Internal server error' : 'Internal Server Error')
}
