import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Account } from '../authentication.ts'
import type { SystemRole, TenantRole } from '../config.ts'
import type { RequestBody } from '../request-body.ts'
import type { System } from '../system.ts'

/** A document as MAPI's JSON form has it: wrappers are objects, repeated elements arrays. XML is made of it mechanically. */
export type DocumentValue =
  | string
  | number
  | boolean
  | bigint
  | readonly DocumentValue[]
  | { readonly [name: string]: DocumentValue | undefined }

export type DocumentFields = { readonly [name: string]: DocumentValue | undefined }

/** A request of the management API, from somebody who is known and may make it. */
export interface MapiExchange {
  /** GET, HEAD, PUT, POST or DELETE; OPTIONS is answered by the router. */
  readonly method: string
  /** The system that was asked. */
  readonly system: System
  /** By the host: `admin.<domain>` or `<tenant>.<domain>`. */
  readonly level: 'system' | 'tenant'
  readonly account: Account
  readonly roles: ReadonlySet<string>
  /** The account is one of the system, whatever host it asks. */
  readonly bySystem: boolean
  /** The account has the rights of a tenant's account: it is one, or the tenant grants that to the system's. */
  readonly byTenant: boolean
  /** Values of the path's variables, percent-decoded. */
  readonly variables: Readonly<Record<string, string>>
  /** Names are case sensitive; a flag has the value ''. */
  readonly query: ReadonlyMap<string, string>
  readonly verbose: boolean
  readonly headers: IncomingHttpHeaders
  /** The raw body, for text uploads. */
  readonly body: RequestBody
  readonly hasBody: boolean
  /**
   * The parsed body, XML or JSON, in the JSON form, with leaves as text or JSON scalars: an element that may be
   * repeated can be a single value, and an empty one ''. Refuses with 400 or 415 what is no such document.
   */
  document(root: string, ...otherRoots: string[]): Promise<Readonly<Record<string, unknown>>>
}

export interface MapiAnswer {
  /** Default 200. */
  readonly status?: number
  /** Name, value, name, value. */
  readonly headers?: readonly string[]
  /** A document, in the format that `Accept` asks for. */
  readonly document?: { readonly root: string; readonly value: DocumentFields }
  /** Or raw content. */
  readonly content?: { readonly type: string; readonly body: Buffer | Readable }
}

export interface Operation {
  /** Roles of which the caller needs one, per level; where a level is missing, its accounts are refused with 403. */
  readonly allowed: { readonly system?: readonly SystemRole[]; readonly tenant?: readonly TenantRole[] }
  /** An account that may manage namespaces of its own is let in without a role too. */
  readonly namespaceManagement?: boolean
  readonly handle: (exchange: MapiExchange) => MapiAnswer | Promise<MapiAnswer>
}

export type ResourceMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'

export interface Resource {
  /** Below `/mapi`, for example `/services/replication/links/:link`. A variable `:tenant` is checked by the router. */
  readonly path: string
  /** HEAD is answered as GET without its body, unless it is here. */
  readonly operations: Readonly<Partial<Record<ResourceMethod, Operation>>>
}
