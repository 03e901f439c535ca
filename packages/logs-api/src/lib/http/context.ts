import type { Registry } from 'prom-client'
import type { Entries } from '../entries/entry.ts'
import type { Rights } from '../entries/rights.ts'
import type { Operations } from '../operations/operation.ts'
import type { Database } from '../store/database.ts'
import type { Role } from './access.ts'

/** Who asks, by a token that has been verified. */
export interface Caller {
  /** `sub` of the token. */
  readonly subject: string
  /** `preferred_username`. */
  readonly user: string | undefined
  readonly groups: readonly string[]
  readonly roles: ReadonlySet<Role>
  /** `project_id` of the token. */
  readonly project: string | undefined
}

/** Makes ids that are the same when the same request comes again under the same `Idempotency-Key`. */
export interface RequestIdentity {
  /** Microseconds since 1970: when the key was first seen. */
  readonly claimedAt: number
  /** For `NewEntry.id` of the entry of this number in the request, from 0. */
  entryId(index: number): (bucket: number) => string
  /** A UUID. */
  uuid(name: string): string
}

/** What the routes are made of. One for each service. */
export interface ServiceContext {
  readonly database: Database
  readonly entries: Entries
  readonly rights: Rights
  readonly operations: Operations
  /** Page sizes are capped at this. */
  readonly maxPage: number
  /** Replaces scheme, host and prefix in links. */
  readonly linkBase: string | undefined
  /** Signs cursors: the same in all processes that share the store. */
  readonly cursorSecret: Buffer
  /** Of the metrics; features add their own. */
  readonly metrics: Registry
  /** Aborted when the service begins to stop: streams that have no end of their own end. */
  readonly stopping: AbortSignal
  readonly log: ServiceLog
}

/** As pino's loggers are. */
export interface ServiceLog {
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Throws nothing on open routes: there it is nobody with no role. */
    caller: Caller
    /** Set when the request came with an `Idempotency-Key`. */
    identity: RequestIdentity | undefined
  }
}
