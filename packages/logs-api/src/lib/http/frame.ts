import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import compress from '@fastify/compress'
import rateLimit from '@fastify/rate-limit'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import type { IdempotencyKeys } from '../store/idempotency.ts'
import { storeRefusal } from '../store/store-error.ts'
import { type Group, type RouteAccess, routeAccess } from './access.ts'
import { type Authenticator, tokenOf } from './authenticate.ts'
import type { Caller, ServiceContext } from './context.ts'
import {
  errorBody,
  noSuchPath,
  tooMany,
  unauthenticated,
  unauthorized,
  unexpected,
  wrongMethod,
} from './errors.ts'
import { groupOf, isEntryVariable, methodsOf, pathOf } from './groups.ts'
import { Guard } from './guard.ts'
import { healthRoutes } from './health.ts'
import { addIdempotency } from './idempotency.ts'
import { parseJson } from './json-body.ts'
import { requestHistogram } from './metrics.ts'
import { addOpenApi, addOpenApiRoute } from './openapi.ts'
import type { LogsServiceOptions } from './options.ts'
import { Refusal } from './refusal.ts'

export interface FrameOptions extends Pick<
  LogsServiceOptions,
  'trustProxy' | 'rateLimit' | 'maxConcurrent' | 'systemOnDatasets'
> {
  readonly authenticator: Authenticator
  /** Undefined: `Idempotency-Key` has no meaning. */
  readonly idempotency?: IdempotencyKeys
  /** Rejects while the service cannot do its work. */
  readonly ready: () => Promise<void>
}

const bodyLimit = 64 * 1024 * 1024
const maxHeaders = 64 * 1024
const maxUrl = 16 * 1024
/** Milliseconds for a whole request, its body included. */
const requestTimeout = 600_000

/** Streams that last until somebody goes away. */
const endless = new Set(['GET /v2/logs/tail', 'GET /v2/exports/:export_id/events'])
/** Answers that are not to be packed: progress would wait in the compressor, archives are packed already. */
const asTheyAre = new Set([
  'DELETE /datasets/:dataset_id/logs',
  'GET /v1/:project/physicalservers/:server/logs/exports/:export_id/content',
])
/** Routes that take packed bodies and read content types themselves. */
const ownBodies = new Set(['POST /v1/logs', 'POST /v2/logs/bulk'])

const nobody: Caller = {
  subject: '',
  user: undefined,
  groups: [],
  roles: new Set(),
  project: undefined,
}

/** The server around the routes: what is the same for all of them. */
export async function createFrame(
  context: ServiceContext,
  options: FrameOptions,
  plugins: readonly FastifyPluginAsync[],
): Promise<FastifyInstance> {
  const { authenticator, systemOnDatasets = false } = options
  const app = Fastify({
    bodyLimit,
    requestTimeout,
    http: { maxHeaderSize: maxHeaders, headersTimeout: 30_000, keepAlive: true },
    trustProxy: options.trustProxy === undefined ? false : [...options.trustProxy],
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: maxUrl, ignoreTrailingSlash: false },
    genReqId: () => `req-${randomUUID()}`,
    rewriteUrl: ({ url = '/' }) => rewritten(url),
    frameworkErrors: (error, request, reply) => {
      begin(request, reply)
      refuse(request, reply, frameworkRefusal(error))
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
      else socket.end(rawAnswer(error.code))
    },
  })
  app.addHttpMethod('GET', { hasBody: true, overrideExisting: true })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) =>
    body.length === 0 ? undefined : parseJson(body),
  )
  app.decorateRequest('caller')
  app.decorateRequest('identity', undefined)

  app.addHook('onRoute', (options) => {
    for (const method of [options.method].flat()) {
      const route = `${method} ${options.url}`
      if (routeAccess[route] === undefined) {
        throw new Error(`Nobody has said who may use \`${route}\`. Add it to access.ts.`)
      }
      if (endless.has(route) || asTheyAre.has(route)) options.compress = false
    }
  })

  await app.register(rateLimit, { global: false })
  await app.register(compress, {
    globalDecompression: false,
    encodings: ['zstd', 'br', 'gzip'],
  })
  await addOpenApi(app)

  const count = counter(context, options.maxConcurrent ?? 1000)
  const limit = rateLimiter(app, options.rateLimit)

  app.addHook('onRequest', async (request, reply) => {
    begin(request, reply)
    request.caller = nobody
    const group = groupOfRequest(request)
    if (request.url.length > maxUrl) throw new Refusal(414, `The URL is longer than ${maxUrl} bytes.`)
    if (request.is404) {
      const methods = methodsOf(pathOf(request.url))
      throw methods.length === 0 ? noSuchPath(group) : wrongMethod(group, methods)
    }
    const route = routeOf(request)
    const access = accessOf(route)
    const params = request.params as Readonly<Record<string, string>>
    if (group === 'entries' && !Object.values(params).every(isEntryVariable)) throw noSuchPath(group)
    if (/%00/.test(request.url)) throw new Refusal(400, 'The URL holds the character U+0000.')
    count(request, reply, route)
    if (access.roles === 'open') {
      if (hasBody(request)) throw new Refusal(413, 'Send no body with this request.')
      return
    }

    const token = tokenOf(request.headers)
    const caller = token === undefined ? undefined : await authenticator.caller(token)
    request.caller = caller ?? nobody
    await limit(request, reply)
    if (caller === undefined) throw unauthenticated(group, token !== undefined)
    const system = systemOnDatasets && caller.roles.has('system')
    if (!(mayUse(access, caller) || (access.right !== undefined && system))) {
      throw unauthorized(group, request.routeOptions.url ?? '')
    }
    if (access.right !== undefined && !caller.roles.has('admin') && !system) {
      await context.rights.check(caller, params['dataset_id'] ?? '', access.right)
    }
    if (!ownBodies.has(route)) expectJson(request)
  })

  app.addHook('preParsing', async (request, reply) => {
    // Only now, so that nobody sends a body for nothing.
    if (request.headers.expect?.toLowerCase() === '100-continue') reply.raw.writeContinue()
  })

  if (options.idempotency !== undefined) addIdempotency(app, options.idempotency, context.log)

  app.addHook('onSend', async (request, reply, payload) => {
    // Else a connection that is in use would hold up the end.
    if (context.stopping.aborted) reply.header('connection', 'close')
    const type = reply.getHeader('content-type')
    if (type === 'application/json; charset=utf-8' && groupOfRequest(request) === 'entries') {
      reply.header('content-type', 'application/json; charset=UTF-8')
    }
    return payload
  })

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    // Whoever went away reads no answer.
    if (request.raw.destroyed && !request.raw.complete) {
      return refuse(request, reply, new Refusal(400, 'The body broke off.'))
    }
    const refusal = known(error)
    if (refusal !== undefined) return refuse(request, reply, refusal)
    context.log.error(
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url,
        error: { name: error.name, code: error.code, message: error.message, stack: error.stack },
      },
      'A request failed.',
    )
    return refuse(request, reply, unexpected(groupOfRequest(request)))
  })
  // The hook above has answered.
  app.setNotFoundHandler((request, reply) => refuse(request, reply, noSuchPath(groupOfRequest(request))))

  await app.register(healthRoutes(context, options.ready))
  for (const plugin of plugins) await app.register(plugin)
  addOpenApiRoute(app)
  await app.ready()
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    app.server.emit('request', request, response)
  })
  return app
}

/** URLs may come whole, as proxies get them; paths of operation logs may end in `.json`. */
function rewritten(url: string): string {
  return url
    .replace(/^https?:\/\/[^/?#]*\/?/i, '/')
    .replace(/^(\/v1\/[^/?]*\/operation_logs(?:\/[^/?]+?)?)\.json(?=\?|$)/, '$1')
}

function routeOf(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? ''}`
}

/** Of the route where there is one: its path may be written in several ways. */
function groupOfRequest(request: FastifyRequest): Group {
  return routeAccess[routeOf(request)]?.group ?? groupOf(pathOf(request.url))
}

function accessOf(route: string): RouteAccess {
  const access = routeAccess[route]
  if (access === undefined) throw new Error(`\`${route}\` is not in access.ts.`)
  return access
}

function mayUse({ roles }: RouteAccess, caller: Caller): boolean {
  if (roles === 'open') return true
  return roles === 'any' ? caller.roles.size > 0 : roles.some((role) => caller.roles.has(role))
}

/** It would be read before anybody knows from whom it is. */
function hasBody({ raw: { headers } }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Bodies are JSON whatever the content type says, and not packed. */
function expectJson({ raw: { headers } }: FastifyRequest): void {
  if (headers['content-type'] !== undefined) headers['content-type'] = 'application/json'
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding.trim().toLowerCase() !== 'identity')
    throw new Refusal(415, 'Send the body as it is, not packed.')
}

const policy = "default-src 'none'; frame-ancestors 'none';"

/** What each answer has, refusals too. */
function begin(request: FastifyRequest, reply: FastifyReply): void {
  const group = groupOfRequest(request)
  reply.headers({
    'x-request-id': request.id,
    'x-content-type-options': 'nosniff',
    'content-security-policy': policy,
    'cache-control': 'no-store',
  })
  if (group === 'entries') {
    reply.headers({
      'cache-control': 'no-store, no-cache, must-revalidate, max-age=0',
      pragma: 'no-cache',
      expires: '0',
    })
  }
  if (group === 'operations') {
    reply.headers({ 'x-compute-request-id': request.id, 'x-openstack-request-id': request.id })
  }
}

function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const group = groupOfRequest(request)
  const { type, body } = errorBody(group, refusal, request.headers['content-type'])
  if (group === 'entries' && /^[\x20-\x7e]{1,200}$/.test(refusal.message)) {
    reply.raw.statusMessage = refusal.message
  }
  return reply.code(refusal.status).headers(refusal.headers).header('content-type', type).send(body)
}

/** Undefined: nobody expected this error. */
function known(error: FastifyError): Refusal | undefined {
  if (error instanceof Refusal) return error
  const issue = error.validation?.[0]
  if (issue !== undefined) return new Refusal(400, issue.message ?? 'The request is not as it has to be.')
  if (error.code?.startsWith('FST_') && (error.statusCode ?? 500) < 500) return frameworkRefusal(error)
  return storeRefusal(error)
}

function frameworkRefusal(error: FastifyError): Refusal {
  switch (error.code) {
    case 'FST_ERR_BAD_URL':
      return new Refusal(400, 'The path is not encoded as URLs are.')
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Refusal(414, `The URL is longer than ${maxUrl} bytes.`)
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Refusal(413, `The body is larger than ${bodyLimit} bytes.`)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Refusal(415, 'This content type is not taken here.')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Refusal(400, 'The body is not as long as `Content-Length` says.')
    default:
      return new Refusal(error.statusCode ?? 400, error.message)
  }
}

/** For requests that are no HTTP: there is no route whose shape it could have. */
function rawAnswer(code: string | undefined): string {
  const [status, detail] =
    code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', `The head of the request is larger than ${maxHeaders} bytes.`]
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'The request did not come to its end in time.']
        : ['400 Bad Request', 'This is no request of HTTP.']
  const body = JSON.stringify({
    type: 'about:blank',
    title: status.slice(4),
    status: Number(status.slice(0, 3)),
    detail,
  })
  const headers = [
    'Connection: close',
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: req-${randomUUID()}`,
  ]
  return `HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`
}

/** Counts requests in work and measures them. Refuses those that are too many. */
function counter(
  context: ServiceContext,
  most: number,
): (request: FastifyRequest, reply: FastifyReply, route: string) => void {
  const histogram = requestHistogram(context.metrics)
  const guard = new Guard()
  let working = 0
  let streaming = 0
  return (request, reply, route) => {
    const isEndless = endless.has(route)
    const isGuarded = groupOfRequest(request) === 'entries'
    const started = performance.now()
    let ended = false
    const end = (): void => {
      if (ended) return
      ended = true
      if (isEndless) streaming--
      else working--
      const seconds = (performance.now() - started) / 1000
      if (isGuarded) guard.record(route, seconds)
      // 499, as others have it: whoever asked went away.
      const status = reply.raw.headersSent ? reply.raw.statusCode : 499
      histogram.observe({ method: request.method, handler: request.routeOptions.url ?? '', status }, seconds)
    }
    if (isEndless) streaming++
    else working++
    reply.raw.once('finish', end).once('close', end)
    // What speaks WebSocket has no answer that could end.
    if (isEndless) request.raw.socket.once('close', end)
    // Whether the process works is asked just when there is much to do.
    if (accessOf(route).roles === 'open') return
    const retryAfter = isGuarded ? guard.refused(route) : undefined
    if (retryAfter !== undefined || (isEndless ? streaming : working) > most) {
      throw new Refusal(503, 'server overloaded', { headers: { 'retry-after': String(retryAfter ?? 1) } })
    }
  }
}

function rateLimiter(
  app: FastifyInstance,
  options: LogsServiceOptions['rateLimit'],
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  if (options === undefined) return async () => {}
  const ask = app.createRateLimit({
    max: options.max,
    timeWindow: options.windowSeconds * 1000,
    keyGenerator: (request) =>
      request.caller.subject === ''
        ? `address ${rateLimit.normalizeIP(request.ip, 64)}`
        : `subject ${request.caller.subject}`,
  })
  return async (request, reply) => {
    const answer = await ask(request)
    if (answer.isAllowed) return
    reply.headers({
      'ratelimit-limit': answer.max,
      'ratelimit-remaining': answer.remaining,
      'ratelimit-reset': answer.ttlInSeconds,
    })
    if (answer.isExceeded) throw tooMany(groupOfRequest(request), answer.ttlInSeconds)
  }
}
