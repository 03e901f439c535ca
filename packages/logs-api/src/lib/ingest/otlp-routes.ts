import type { FastifyPluginAsync } from 'fastify'
import type { ServiceContext } from '../http/context.ts'

export function otlpRoutes(_context: ServiceContext): FastifyPluginAsync {
  return async () => {}
}
