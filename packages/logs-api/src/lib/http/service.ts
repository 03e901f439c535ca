import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { EntryStore } from '../entries/entry-store.ts'
import { openRights } from '../entries/rights-store.ts'
import { rightsRoutes } from '../entries/rights-routes.ts'
import { entryRoutes } from '../entries/routes.ts'
import { searchRoutes } from '../entries/search-routes.ts'
import { Exports } from '../exports/exports.ts'
import { exportRoutes } from '../exports/routes.ts'
import { exportV2Routes } from '../exports/v2-routes.ts'
import { bulkRoutes } from '../ingest/bulk-routes.ts'
import { otlpRoutes } from '../ingest/otlp-routes.ts'
import { OperationStore } from '../operations/operation-store.ts'
import { operationRoutes } from '../operations/routes.ts'
import { operationV2Routes } from '../operations/v2-routes.ts'
import { Retention } from '../retention/retention.ts'
import { retentionRoutes } from '../retention/routes.ts'
import { IdempotencyKeys } from '../store/idempotency.ts'
import { openDatabase } from '../store/open-database.ts'
import { probe } from '../store/probe.ts'
import { secretSetting } from '../store/settings.ts'
import { tailRoutes } from '../tail/routes.ts'
import { Authenticator } from './authenticate.ts'
import type { ServiceContext, ServiceLog } from './context.ts'
import { createFrame } from './frame.ts'
import { serveMetrics } from './metrics.ts'
import type { LogsServiceOptions } from './options.ts'

export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: any that is free. */
  readonly port?: number
  /** Default 0: any that is free. */
  readonly metricsPort?: number
}

/** A service that is ready to listen. */
export interface LogsService extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly context: ServiceContext
  /** Takes requests from here on. The metrics are on a port of their own. */
  listen(options?: ListenOptions): Promise<{ readonly url: string; readonly metricsUrl: string }>
  /**
   * Takes no more requests, lets those in work end, stores what was accepted, and closes the database.
   *
   * @param patience Milliseconds until requests are cut off. Default 10,000.
   */
  close(patience?: number): Promise<void>
}

const noLog: ServiceLog = { info: () => {}, warn: () => {}, error: () => {} }

/**
 * Opens the database and makes the service around it.
 *
 * @throws {TypeError} if options cannot be right, such as an empty secret.
 */
export async function createLogsService(options: LogsServiceOptions): Promise<LogsService> {
  const { log = noLog, maxPage = 1000 } = options
  const authenticator = new Authenticator(options.auth, options.roles)
  if (!Number.isSafeInteger(maxPage) || maxPage < 1) {
    throw new TypeError('`maxPage` has to be a whole number of entries, 1 at least.')
  }
  if (authenticator.weak) log.warn({}, 'auth.secret has fewer than 32 bytes: it can be found out by trying.')
  const database = await openDatabase(options.database, { log })
  const stopping = new AbortController()
  try {
    const metrics = new Registry()
    const entries = new EntryStore({ database, bodies: options.bodies, metrics, log })
    const context: ServiceContext = {
      database,
      entries,
      rights: openRights(database),
      operations: new OperationStore(database),
      maxPage,
      linkBase: options.linkBase,
      cursorSecret: await secretSetting(database, 'cursor_secret'),
      metrics,
      stopping: stopping.signal,
      log,
    }
    const exports = new Exports(context, options.systems ?? [], options.exports, options.bodies)
    const retention = new Retention(context, entries, options.retention)
    const idempotency = new IdempotencyKeys(database)
    const app = await createFrame(
      context,
      { ...options, authenticator, idempotency, ready: () => probe(database) },
      [
        entryRoutes(context),
        searchRoutes(context),
        rightsRoutes(context),
        bulkRoutes(context),
        otlpRoutes(context),
        tailRoutes(context),
        operationRoutes(context),
        operationV2Routes(context),
        exportRoutes(context, exports),
        exportV2Routes(context, exports),
        retentionRoutes(context, retention),
      ],
    )
    let metricsServer: Server | undefined
    const sockets = new Set<Socket>()
    const unused = new Set<Socket>()
    app.server.on('connection', (socket) => {
      sockets.add(socket)
      unused.add(socket)
      socket.once('close', () => {
        sockets.delete(socket)
        unused.delete(socket)
      })
    })
    // Clients open some ahead of need. To the server they are not idle: it would wait for their first request.
    const used = ({ socket }: IncomingMessage): void => void unused.delete(socket)
    app.server.on('request', used).on('upgrade', used)

    const close = async (patience: number): Promise<void> => {
      stopping.abort(new Error('The service is stopping.'))
      for (const socket of unused) socket.destroy()
      // Also those that speak WebSocket, which the server counts no longer as its own.
      const force = setTimeout(() => sockets.forEach((socket) => socket.destroy()), patience)
      await allOf([
        async () => {
          await Promise.all([app.close(), exports.stop(), retention.stop()])
        },
        () => entries.close(),
        () => database.close(),
        async () => {
          clearTimeout(force)
          if (metricsServer !== undefined) await closed(metricsServer)
        },
      ])
    }
    let closing: Promise<void> | undefined
    const service: LogsService = {
      app,
      context,
      listen: async ({ host = '127.0.0.1', port = 0, metricsPort = 0 } = {}) => {
        const url = await app.listen({ host, port })
        exports.start()
        retention.start()
        collectDefaultMetrics({ register: metrics })
        metricsServer = await serveMetrics(metrics, host, metricsPort)
        return { url, metricsUrl: `${addressOf(metricsServer)}/metrics` }
      },
      close: (patience = 10_000) => (closing ??= close(patience)),
      [Symbol.asyncDispose]: () => service.close(),
    }
    return service
  } catch (error) {
    await database.close()
    throw error
  }
}

/** One after the other, also after one has failed; then throws what the first failed by. */
async function allOf(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

function addressOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

async function closed(server: Server): Promise<void> {
  const gone = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await gone
}
