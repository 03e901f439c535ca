import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from './context.ts'
import { Refusal } from './refusal.ts'

const tags = ['Service']
const nothing = z.strictObject({})
const patience = 5_000

/** @param ready Rejects while the service cannot do its work. */
export function healthRoutes(context: ServiceContext, ready: () => Promise<void>): FastifyPluginAsync {
  return async (plain) => {
    // However many ask, the store does it once at a time.
    let asking: Promise<void> | undefined
    const app = plain.withTypeProvider<ZodTypeProvider>()
    app.route({
      method: 'GET',
      url: '/healthz',
      schema: { summary: 'Whether the service answers', tags, response: { 200: nothing } },
      handler: async () => ({}),
    })
    app.route({
      method: 'GET',
      url: '/livez',
      schema: { summary: 'Whether the process is alive', tags, response: { 200: nothing } },
      handler: async () => ({}),
    })
    app.route({
      method: 'GET',
      url: '/readyz',
      schema: { summary: 'Whether the store can be read and written', tags, response: { 200: nothing } },
      handler: async () => {
        if (context.stopping.aborted) throw notReady('The service is stopping.')
        try {
          await (asking ??= inTime(ready()).finally(() => (asking = undefined)))
        } catch (cause) {
          throw notReady('The store cannot be read and written.', cause)
        }
        return {}
      },
    })
  }
}

function notReady(message: string, cause?: unknown): Refusal {
  return new Refusal(503, message, { headers: { 'retry-after': '5' }, cause })
}

async function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer for ${patience} ms.`)), patience)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
