import type { FastifyPluginAsync } from 'fastify'
import type { ServiceContext } from '../http/context.ts'

export function operationV2Routes(_context: ServiceContext): FastifyPluginAsync {
  return async () => {}
}
