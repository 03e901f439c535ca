import websocket, { type WebSocket } from '@fastify/websocket'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { decodeJwt } from 'jose'
import { Gauge } from 'prom-client'
import { z } from 'zod'
import { entryFilterSchema, entryQuery, type EntryFilter } from '../entries/entry-filter.ts'
import { tokenOf } from '../http/authenticate.ts'
import type { ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { eventStream, type Channel, type EndReason } from './event-stream.ts'
import { TailHub } from './hub.ts'
import { openPlace, TailReader } from './reader.ts'
import { tellSocket } from './socket.ts'
import { onlyWebSocketsAt } from './upgrades.ts'

export interface TailOptions {
  /** Milliseconds between signs of life. Default 15,000. */
  readonly pingInterval?: number
  /** Milliseconds between questions to the store. Default 250. */
  readonly pollInterval?: number
  /** Seconds for which entries that became visible late are looked for. Default 10. */
  readonly windowSeconds?: number
  /** Readers at a time. Default 500. */
  readonly maxReaders?: number
  /** Entries, and characters of them, that wait for a slow reader. Default 1,000 and 4 Mi. */
  readonly maxEntries?: number
  readonly maxLength?: number
}

const parameters = entryFilterSchema.extend({
  last_event_id: z
    .string({ error: 'last_event_id can be given once only.' })
    .optional()
    .describe('As the header Last-Event-ID: what has arrived since that event comes first'),
})

/** Bytes of a message from a reader: there is nothing to be said. */
const maxMessage = 1024
/** Milliseconds. */
const longestTimer = 2 ** 31 - 1
const url = '/v2/logs/tail'

/** `GET /v2/logs/tail`: entries as they arrive, as server-sent events or over WebSocket. */
export function tailRoutes(context: ServiceContext, options: TailOptions = {}): FastifyPluginAsync {
  return async (app) => {
    const tails = new Tails(context, options)
    await app.register(websocket, {
      options: { maxPayload: maxMessage, perMessageDeflate: false, autoPong: false },
      // They are told to close when the service begins to stop.
      preClose: (done) => done(),
      errorHandler: (_error, socket) => socket.terminate(),
    })
    const isUpgrade = onlyWebSocketsAt(app.server, url)
    app.route({
      method: 'GET',
      url,
      schema: {
        summary: 'Entries as they arrive',
        description:
          'Server-sent events: `log` (its id is a cursor, its data the entry), `dropped` (`{"count":n}`: so many were left out, since they were not read fast enough) and `ping`, the first of which has an id too: from there a tail is resumed that broke before its first entry. Over WebSocket the same in messages `{"type":"log","id":"…","log":{…}}`, `{"type":"dropped","count":n}` and `{"type":"ping"}`. After a resumption an entry may come twice: its log_id tells.',
        tags: ['Entries'],
        querystring: parameters,
        headers: z.looseObject({ 'last-event-id': z.string().optional() }),
      },
      // Before the protocol changes, so that refusals are answers of HTTP.
      preHandler: (request) => tails.open(request),
      // Of a refusal: HTTP reads this socket no longer, so nobody would see it close.
      onResponse: async ({ raw }) => {
        if (isUpgrade(raw)) raw.socket.destroySoon()
      },
      handler: (request, reply) => {
        const { pingInterval } = tails
        const stream = tails.connect(request, (reader) => eventStream(reader, pingInterval))
        return reply.type('text/event-stream').header('x-accel-buffering', 'no').send(stream.stream)
      },
      wsHandler: (socket: WebSocket, request) => {
        tails.connect(request, (reader) => tellSocket(reader, socket, tails.pingInterval))
      },
    })
  }
}

interface Tail {
  readonly reader: TailReader
  readonly resumes: Promise<void> | undefined
  channel?: Channel
}

class Tails {
  readonly pingInterval: number
  readonly #context: ServiceContext
  readonly #hub: TailHub
  readonly #window: number
  readonly #maxReaders: number
  readonly #maxEntries: number
  readonly #maxLength: number
  readonly #open = new Map<FastifyRequest, Tail>()

  constructor(context: ServiceContext, options: TailOptions) {
    this.#context = context
    this.pingInterval = options.pingInterval ?? 15_000
    this.#window = (options.windowSeconds ?? 10) * 1_000_000
    this.#maxReaders = options.maxReaders ?? 500
    this.#maxEntries = options.maxEntries ?? 1000
    this.#maxLength = options.maxLength ?? 4 * 1024 * 1024
    const { entries, database, log, stopping, metrics } = context
    this.#hub = new TailHub({
      entries,
      database,
      log,
      stopping,
      pollInterval: options.pollInterval ?? 250,
      window: this.#window,
    })
    entries.onWritten?.(() => this.#hub.nudge())
    const open = this.#open
    stopping.addEventListener('abort', () => this.#end([...open.values()], 'stopping'), { once: true })
    const readers: Gauge = new Gauge({
      name: 'hcp_logs_tail_readers',
      help: 'Readers of the live tail.',
      registers: [],
      collect: () => readers.set(open.size),
    })
    metrics.registerMetric(readers)
  }

  /** Makes the reader of a request; it listens already. @throws {Refusal} */
  async open(request: FastifyRequest): Promise<void> {
    const { entries, rights, cursorSecret: secret, stopping } = this.#context
    if (stopping.aborted || this.#open.size >= this.#maxReaders) {
      throw new Refusal(503, 'There are too many readers of the tail. Try again later.', {
        headers: { 'retry-after': '5' },
      })
    }
    const { last_event_id, ...filter } = request.query as EntryFilter & { last_event_id?: string }
    const scope = `tail ${JSON.stringify(filter)}`
    const cursor = lastEventId(request) ?? last_event_id
    const place = cursor === undefined || cursor === '' ? undefined : openPlace(secret, scope, cursor)
    const reader = new TailReader({
      entries,
      hub: this.#hub,
      query: await entryQuery(filter, request.caller, rights),
      secret,
      scope,
      window: this.#window,
      maxEntries: this.#maxEntries,
      maxLength: this.#maxLength,
    })
    const tail: Tail = { reader, resumes: place && reader.resume(place) }
    tail.resumes?.catch(() => {})
    this.#open.set(request, tail)
    const expiry = setTimeout(() => this.#end([tail], 'expired'), Math.min(lifetime(request), longestTimer))
    // However it ends, also before the protocol was changed.
    const { socket } = request.raw
    const gone = (): void => reader.close()
    socket.once('close', gone)
    reader.onClose = () => {
      clearTimeout(expiry)
      socket.off('close', gone)
      this.#open.delete(request)
    }
    if (place !== undefined) return
    try {
      await reader.start()
    } catch (error) {
      reader.close()
      throw error
    }
  }

  /** Joins the reader of a request to what tells it. */
  connect<Kind extends Channel>(request: FastifyRequest, channelOf: (reader: TailReader) => Kind): Kind {
    const tail = this.#open.get(request)
    // It may have ended already: then there is nobody to tell, and nothing.
    const reader = tail?.reader
    if (tail === undefined || reader === undefined) throw new Refusal(503, 'The service is stopping.')
    const channel = channelOf(reader)
    tail.channel = channel
    tail.resumes?.catch((error: unknown) => {
      this.#context.log.warn({ error: String(error) }, 'A reader of the tail could not resume.')
      channel.end('failed')
    })
    return channel
  }

  #end(tails: readonly Tail[], why: EndReason): void {
    for (const { reader, channel } of tails) {
      if (channel === undefined) reader.close()
      else channel.end(why)
    }
  }
}

function lastEventId(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id']
  return typeof header === 'string' ? header : undefined
}

/** Milliseconds that the token of a request still holds. */
function lifetime({ headers }: FastifyRequest): number {
  const { exp = 0 } = decodeJwt(tokenOf(headers) ?? '')
  return Math.max(0, exp * 1000 - Date.now())
}
