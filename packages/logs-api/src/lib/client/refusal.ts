import { LogsApiError, type LogsApiErrorFacts } from './errors.ts'

/** What the service says of a refusal: each of its APIs has a shape of its own. */
export interface Said {
  readonly apiCode?: string | number
  readonly apiText?: string
}

export function said(body: string): Said {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    // A proxy's page, for example.
    return {}
  }
  if (!isRecord(answer)) return {}
  if ('error_code' in answer || 'error_msg' in answer) return words(answer['error_code'], answer['error_msg'])
  if (typeof answer['error'] === 'string') return words(answer['code'], answer['error'])
  if ('title' in answer || 'detail' in answer)
    return words(answer['type'], answer['detail'] ?? answer['title'])
  const [fault, inner] = Object.entries(answer)[0] ?? []
  if (isRecord(inner) && 'message' in inner) return words(fault, inner['message'])
  return words(answer['code'], answer['message'])
}

function words(code: unknown, text: unknown): Said {
  const plain = typeof code === 'number' || typeof code === 'string'
  return {
    ...(plain ? { apiCode: code } : {}),
    ...(typeof text === 'string' && text !== '' ? { apiText: text.slice(0, 2_000) } : {}),
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const mayPass: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

/** The error for an answer that is not 2xx. */
export function refusal(status: number, facts: LogsApiErrorFacts): LogsApiError {
  const { method, url, apiText } = facts
  const words = apiText === undefined ? '' : ` (${apiText})`
  const message = `${method} ${url} was answered with ${status}${words}.${advice(status)}`
  return new LogsApiError('LOGS_API_RESPONSE', message, mayPass.has(status), {
    ...facts,
    status,
    sent: true,
  })
}

function advice(status: number): string {
  if (status < 400)
    return ' That is a redirection, which is not followed: give the address of the service itself.'
  switch (status) {
    case 401:
      return ' The service does not take the token: it is missing, expired or of another issuer.'
    case 403:
      return ' The token is not taken, or has not the role or right that this needs.'
    case 413:
      return ' It is too large: send less at a time.'
    case 422:
      return ' The idempotency key was used for something else: take another one.'
    case 429:
    case 503:
      return ' The service has too much to do: try again later.'
    default:
      return ''
  }
}
