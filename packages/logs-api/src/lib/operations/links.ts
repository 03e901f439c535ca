import type { FastifyRequest } from 'fastify'
import type { ServiceContext } from '../http/context.ts'

/** The absolute URL of a path of the service, as its clients have to write it. */
export function absoluteUrl(
  context: Pick<ServiceContext, 'linkBase'>,
  request: Pick<FastifyRequest, 'protocol' | 'host'>,
  path: string,
): string {
  const base = context.linkBase ?? `${request.protocol}://${request.host}`
  return `${base.replace(/\/+$/, '')}${path}`
}
