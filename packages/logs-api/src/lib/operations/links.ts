import type { FastifyRequest } from 'fastify'
import type { ServiceContext } from '../http/context.ts'

/** The absolute URL of a path of the service, as its clients have to write it. */
export function absoluteUrl(
  context: Pick<ServiceContext, 'linkBase'>,
  request: Pick<FastifyRequest, 'protocol' | 'host' | 'socket'>,
  path: string,
): string {
  const base = context.linkBase ?? `${request.protocol}://${hostOf(request)}`
  return `${base.replace(/\/+$/, '')}${path}`
}

/** HTTP/1.0 comes without, and what is no host would make no URL. */
function hostOf({ host, socket }: Pick<FastifyRequest, 'host' | 'socket'>): string {
  if (/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(host ?? '')) return host
  const { localAddress = 'localhost', localPort = 80 } = socket
  return `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`
}
