import type { Logs } from '@hcp/mapi-logs'
import type { ObjectClient } from '@hcp/objects'
import type { ServiceLog } from './context.ts'

export interface LogsServiceOptions {
  /** `sqlite:FILE`, `sqlite::memory:` or `postgres://…`. Tables are made or brought up to date. */
  readonly database: string
  readonly auth: AuthOptions
  /** Which roles or groups of a token stand for which role here. Default: `admin`, `system` and `user`, each for itself. */
  readonly roles?: {
    readonly admin?: readonly string[]
    readonly system?: readonly string[]
    readonly user?: readonly string[]
  }
  /** Where long texts and the archives of exports go. Default: texts stay in the database, archives go to `exports.directory`. */
  readonly bodies?: BodyOptions
  /** HCP systems whose internal logs can be exported. */
  readonly systems?: readonly SystemOptions[]
  readonly exports?: ExportOptions
  readonly retention?: RetentionOptions
  /** Replaces scheme, host and prefix in links, such as `https://logs.example.com/hcp`. Default: as the request came. */
  readonly linkBase?: string
  /** Addresses or names (`loopback`) of proxies whose `X-Forwarded-*` count. Default: none. */
  readonly trustProxy?: readonly string[]
  /** Entries of a page at most. Default 1,000. */
  readonly maxPage?: number
  /** Requests per caller. Default: no limit. */
  readonly rateLimit?: { readonly max: number; readonly windowSeconds: number }
  /** Requests in work at a time; further ones get 503 with `Retry-After`. Default 1,000. */
  readonly maxConcurrent?: number
  /** Lets the role `system` use the routes of datasets as well, which API A does not. Default false. */
  readonly systemOnDatasets?: boolean
  /** Default: nothing is logged. */
  readonly log?: ServiceLog
}

/** Tokens are JWTs signed with a shared secret or by an identity provider. */
export interface AuthOptions {
  readonly issuer: string
  /** Default: any. */
  readonly audience?: string
  /** Of HS256 or HS512; 32 bytes at least to be safe, fewer are warned of. Either this or `jwksUrl`. */
  readonly secret?: string
  /** Where the provider's public keys are. */
  readonly jwksUrl?: string
}

export interface BodyOptions {
  /** Of a namespace. Stays the caller's to close. */
  readonly objects: ObjectClient
  /** Folder. Default `/rest/logs`. */
  readonly path?: string
  /** Texts of more characters (code points) go to an object. Default 1,000,000. */
  readonly threshold?: number
  /** Retention of these objects, as HCP writes it. Default: none, they can be deleted at any time. */
  readonly retention?: string
}

export interface SystemOptions {
  /** In paths: letters, digits, `.`, `_` and `-`. */
  readonly id: string
  /** In the names of archives. */
  readonly serial: string
  /** Whose tokens may export its logs. */
  readonly project: string
  /** Stays the caller's to close. */
  readonly logs: Logs
}

export interface ExportOptions {
  /** For packages while they are fetched, and for archives where there is no namespace. Default: a new folder for temporary files. */
  readonly directory?: string
  /** Days that archives are kept. Default 7. */
  readonly expiryDays?: number
  /** Milliseconds between questions for HCP's status. Default 5,000. */
  readonly pollInterval?: number
  /** Milliseconds to wait for an HCP whose one job is somebody else's. Default 6 hours. */
  readonly patience?: number
}

export interface RetentionOptions {
  /** Seconds between clean-ups. Default 3,600. */
  readonly intervalSeconds?: number
}
