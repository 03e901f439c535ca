import {
  boolean,
  commaList,
  decimal,
  document,
  type DocumentSchema,
  epochMillis,
  integer,
  type Long,
  long,
  optional,
  type OptionalSchema,
  record,
  type Schema,
  text,
  timestamp,
} from '@hcp/mapi'
import type { LinkType } from './constants.ts'

/** Words of later releases are handed on as they are. */
export type Or<Known extends string> = Known | (string & {})

/** How the two systems reach each other. Hosts are names (`replication.<domain>`) or addresses of nodes. */
export interface LinkConnection {
  readonly remoteHost?: readonly string[]
  readonly remotePort?: number
  /** This system as the other one knows it. */
  readonly localHost?: readonly string[]
  readonly localPort?: number
}

export interface FailoverRule {
  /** The link fails over to this side by itself when the other is lost. */
  readonly autoFailover?: boolean
  /** After so many minutes, 7 to 9,999. */
  readonly autoFailoverMinutes?: number
  /** Active/passive only: recovery is completed by itself, */
  readonly autoCompleteRecovery?: boolean
  /** as soon as less than so many minutes are missing, 1 to 9,999. */
  readonly autoCompleteRecoveryMinutes?: number
}

/** Active/active has both sides, the primary of an active/passive link `remote` only, its replica `local` only. */
export interface FailoverSettings {
  readonly local?: FailoverRule
  readonly remote?: FailoverRule
}

/** Figures since the link was made. "Pending" waits to be sent, without the default namespace. */
export interface LinkStatistics {
  /** All that was changed before is across, to the second. On active/active links: in both directions. */
  readonly upToDateAsOfString?: Date
  /** The same to the millisecond. */
  readonly upToDateAsOfMillis?: Date
  readonly bytesPending?: Long
  /** From the other system to this one; 0 on active/passive links. */
  readonly bytesPendingRemote?: Long
  readonly bytesReplicated?: Long
  readonly bytesPerSecond?: number
  readonly objectsPending?: Long
  readonly objectsPendingRemote?: Long
  readonly objectsReplicated?: Long
  readonly operationsPerSecond?: number
  readonly errors?: Long
  readonly errorsPerSecond?: number
  /** Release 8 and later. */
  readonly objectsVerified?: Long
  readonly objectsReplicatedAfterVerification?: Long
}

/**
 * A replication link as one of its systems sees it. What a release of HCP says beyond this is kept under its own name.
 *
 * @see HCP Management API Reference, "link"
 */
export interface Link {
  readonly name: string
  readonly type: Or<LinkType>
  readonly description?: string
  readonly connection?: LinkConnection
  readonly compression?: boolean
  readonly encryption?: boolean
  readonly priority?: Or<'OLDEST_FIRST' | 'FAIR'>
  readonly failoverSettings?: FailoverSettings
  readonly id?: string
  /** `WARNING`: healthy, but not replicating as usual. `BAD`: not healthy. */
  readonly status: Or<'GOOD' | 'WARNING' | 'BAD'>
  /** For people; `linkState` makes a word of it. */
  readonly statusMessage: string
  readonly suspended: boolean
  readonly statistics?: LinkStatistics
}

/** What can be set, as HCP tells it without `verbose`: fit to be given to `changeLink`. */
export type LinkSettings = Omit<Link, 'id' | 'status' | 'statusMessage' | 'suspended' | 'statistics'>

/**
 * A time that HCP may have in a form that is in no manual: left out then. Nobody should be kept from failing over by a figure that cannot
 * be read.
 */
export function timeIfAny(schema: Schema<Date>): OptionalSchema<Date> {
  return {
    kind: schema.kind,
    optional: true,
    read: (nodes, path) => {
      try {
        return schema.read(nodes, path)
      } catch {
        return undefined
      }
    },
  }
}

const failoverRule = record({
  autoFailover: optional(boolean()),
  autoFailoverMinutes: optional(integer()),
  autoCompleteRecovery: optional(boolean()),
  autoCompleteRecoveryMinutes: optional(integer()),
})

const settings = {
  name: text(),
  type: text(),
  description: optional(text()),
  connection: optional(
    record({
      remoteHost: optional(commaList()),
      remotePort: optional(integer()),
      localHost: optional(commaList()),
      localPort: optional(integer()),
    }),
  ),
  compression: optional(boolean()),
  encryption: optional(boolean()),
  priority: optional(text()),
  failoverSettings: optional(record({ local: optional(failoverRule), remote: optional(failoverRule) })),
}

export const linkSettingsSchema: DocumentSchema<LinkSettings> = document('link', record(settings))

export const linkSchema: DocumentSchema<Link> = document(
  'link',
  record({
    ...settings,
    id: optional(text()),
    status: text(),
    statusMessage: text(),
    suspended: boolean(),
    statistics: optional(
      record({
        upToDateAsOfString: timeIfAny(timestamp()),
        upToDateAsOfMillis: timeIfAny(epochMillis()),
        bytesPending: optional(long()),
        bytesPendingRemote: optional(long()),
        bytesReplicated: optional(long()),
        bytesPerSecond: optional(decimal()),
        objectsPending: optional(long()),
        objectsPendingRemote: optional(long()),
        objectsReplicated: optional(long()),
        operationsPerSecond: optional(decimal()),
        errors: optional(long()),
        errorsPerSecond: optional(decimal()),
        objectsVerified: optional(long()),
        objectsReplicatedAfterVerification: optional(long()),
      }),
    ),
  }),
)
