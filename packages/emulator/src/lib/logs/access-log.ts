import type { RequestRecord } from '../request-log.ts'
import { hostOf } from '../request-target.ts'

/** The files that a node keeps about requests, without the number at their end. */
export const accessLogs = [
  'admin_request.log',
  'http_gateway_request.log',
  'mapi_gateway_request.log',
] as const

export type AccessLog = (typeof accessLogs)[number]

/** Data goes to one, the management API to another; what else comes to that port is for the console. */
export function accessLogOf({ port, path }: RequestRecord): AccessLog {
  if (port !== 'mapi') return 'http_gateway_request.log'
  return /^(?:https:\/\/[^/]*)?\/mapi(?:[/?]|$)/i.test(path)
    ? 'mapi_gateway_request.log'
    : 'admin_request.log'
}

/**
 * A request's line, without its end: client, user, time, request line, status, bytes, place, milliseconds. Each
 * character is a byte.
 */
export function accessLine(record: RequestRecord, domain: string): string {
  const { client, user, time, method, path, httpVersion, status, found, sent } = record
  const who = user === null || user === '' ? '-' : Buffer.from(plain(user)).toString('latin1')
  const request = `${method} ${path} HTTP/${httpVersion}`.replaceAll('"', '%22')
  // Somebody who never got an answer leaves what the server was about to say, or that it failed.
  const code = status || found || 500
  const latency = Math.round(record.milliseconds ?? 0)
  return `${client || '-'} - ${who} [${logTime(time)}] "${request}" ${code} ${sent} ${placeOf(record, domain)} ${latency}`
}

/** `namespace.tenant`; at the management port the first part of the host's name. */
function placeOf({ port, path, host }: RequestRecord, domain: string): string {
  const name = (hostOf(path, host) ?? '')
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/\.$/, '')
    .replaceAll(/\s/g, '')
  const place =
    port === 'mapi'
      ? name.split('.', 1)[0]!
      : name.endsWith(`.${domain}`)
        ? name.slice(0, -domain.length - 1)
        : name
  return place || '-'
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `03/May/2021:08:14:55 +0000`, in the system's time zone, which is UTC. */
export function logTime(time: number): string {
  const date = new Date(time)
  const clock = date.toISOString().slice(11, 19)
  const day = String(date.getUTCDate()).padStart(2, '0')
  return `${day}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock} +0000`
}

/** Nothing that would end the line. */
export function plain(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}
