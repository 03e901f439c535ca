import { boolean, document, type DocumentSchema, integer, optional, record, text } from '@hcp/mapi'
import type { Or } from './link.ts'

/**
 * The replication service of a system. What a release of HCP says beyond this is kept under its own name.
 *
 * @see HCP Management API Reference, "replicationService"
 */
export interface ReplicationSettings {
  readonly allowTenantsToMonitorNamespaces?: boolean
  /** While a link is failed over, the surviving system serves the names of the failed one. */
  readonly enableDNSFailover?: boolean
  /** Release 7; later releases do not use it. */
  readonly enableDomainAndCertificateSynchronization?: boolean
  /** Name of the replication network, `[hcp_system]` unless another one was chosen. */
  readonly network?: string
  /** A link that is lost is reported after so many seconds. Release 9. */
  readonly connectivityTimeoutSeconds?: number
  /** Release 8 and later. */
  readonly verification?: Or<'ON' | 'ONCE' | 'OFF'>
  /** Only told, never set: `shutDownAllLinks` and `reestablishAllLinks` change it. */
  readonly status?: Or<'ENABLED' | 'SHUTDOWN'>
}

export const settingsSchema: DocumentSchema<ReplicationSettings> = document(
  'replicationService',
  record({
    allowTenantsToMonitorNamespaces: optional(boolean()),
    enableDNSFailover: optional(boolean()),
    enableDomainAndCertificateSynchronization: optional(boolean()),
    network: optional(text()),
    connectivityTimeoutSeconds: optional(integer()),
    verification: optional(text()),
    status: optional(text()),
  }),
)
