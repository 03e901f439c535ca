import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { Caller } from './authentication.ts'
import type { BlobStore } from './blob-store.ts'
import type { Choices } from './choices.ts'
import type { Change, Namespace, Permission } from './namespace.ts'
import { Refusal } from './refusal.ts'
import type { RequestBody } from './request-body.ts'
import type { RequestTarget } from './request-target.ts'
import type { Tenant } from './tenant.ts'

/** What goes back, but for the headers that every answer has. */
export interface Answer {
  readonly status: number
  /** Name, value, name, value, in the order of the wire. */
  readonly headers: readonly string[]
  /** Bytes, or a stream with its length where that is known. Nothing for an answer without body. */
  readonly body?: Buffer | Readable
}

/** A request to a namespace, after its sender is known. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly target: RequestTarget
  readonly body: RequestBody
  readonly tenant: Tenant
  readonly namespace: Namespace
  readonly caller: Caller
  readonly permissions: ReadonlySet<Permission>
  readonly system: SystemSurface
}

/** What the handlers of requests need of the system they run in. */
export interface SystemSurface {
  readonly domain: string
  readonly choices: Choices
  readonly blobs: BlobStore
  /** Epoch milliseconds. */
  now(): number
  /** Carries a change out; resolves when it will survive the end of the process. */
  commit(namespace: Namespace, change: Change): Promise<void>
}

/** Refuses a request whose sender lacks a permission. */
export function need(exchange: Exchange, ...permissions: readonly Permission[]): void {
  for (const permission of permissions) {
    if (!exchange.permissions.has(permission)) {
      throw new Refusal(403, `The permission ${permission} is missing.`)
    }
  }
}

/** Refuses a request with a query parameter that is not in the list. */
export function onlyParameters(exchange: Exchange, allowed: ReadonlySet<string>): void {
  for (const name of exchange.target.query.keys()) {
    if (!allowed.has(name)) {
      throw new Refusal(400, `The query parameter ${name} is not valid for this request.`)
    }
  }
}
