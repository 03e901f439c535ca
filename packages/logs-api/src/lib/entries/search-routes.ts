import type { FastifyPluginAsync } from 'fastify'
import type { ServiceContext } from '../http/context.ts'

export function searchRoutes(_context: ServiceContext): FastifyPluginAsync {
  return async () => {}
}
