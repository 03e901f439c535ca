import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { Registry } from 'prom-client'
import { Authenticator } from './authenticate.ts'
import type { ServiceContext } from './context.ts'
import { createFrame, type FrameOptions } from './frame.ts'
import type { LogsServiceOptions } from './options.ts'
import { createLogsService, type LogsService } from './service.ts'
import { options as auth } from './token.testing.ts'

export interface TestService extends AsyncDisposable {
  readonly service: LogsService
  readonly url: string
  readonly metricsUrl: string
}

/** A service that listens and takes the tokens of token.testing.ts. */
export async function startTestService(
  options: Partial<LogsServiceOptions> & Pick<LogsServiceOptions, 'database'>,
): Promise<TestService> {
  const service = await createLogsService({ auth, ...options })
  const { url, metricsUrl } = await service.listen()
  return { service, url, metricsUrl, [Symbol.asyncDispose]: () => service.close() }
}

export interface TestApp extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly context: ServiceContext
}

/** The frame around some routes alone: parts of the context that are not given are not there. For `app.inject` and, after `app.listen`, for sockets. */
export async function testApp(
  plugins: readonly ((context: ServiceContext) => FastifyPluginAsync)[],
  parts: Partial<ServiceContext> = {},
  frame: Partial<FrameOptions> = {},
): Promise<TestApp> {
  const given: Partial<ServiceContext> = {
    maxPage: 1000,
    linkBase: undefined,
    cursorSecret: Buffer.alloc(32, 7),
    metrics: new Registry(),
    stopping: new AbortController().signal,
    log: { info: () => {}, warn: () => {}, error: (facts, message) => console.error(message, facts) },
    ...parts,
  }
  const context = new Proxy(given, {
    get: (target, name) => {
      if (name in target) return Reflect.get(target, name) as unknown
      throw new Error(`testApp() was given no \`${String(name)}\`.`)
    },
  }) as ServiceContext
  const app = await createFrame(
    context,
    { authenticator: new Authenticator(auth), ready: async () => {}, ...frame },
    plugins.map((plugin) => plugin(context)),
  )
  return { app, context, [Symbol.asyncDispose]: () => app.close() }
}
