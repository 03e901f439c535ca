import {
  document,
  type DocumentSchema,
  epochMillis,
  list,
  type Long,
  long,
  optional,
  record,
  text,
  timestamp,
} from '@hcp/mapi'
import { type Or, timeIfAny } from './link.ts'

/** What is on a link, or could be put on it, by name. */
export interface LinkContent {
  readonly tenants: readonly string[]
  /** `undefined` where there is no default tenant. */
  readonly defaultNamespaceDirectories?: readonly string[]
  /** Active/passive only. */
  readonly chainedLinks?: readonly string[]
}

/** What a link can carry, by the word that HCP has for it in paths. */
export type ContentKind = 'tenants' | 'defaultNamespaceDirectories' | 'chainedLinks'

/**
 * How a tenant's replication over a link goes on. Counts as in `LinkStatistics`.
 *
 * @see HCP Management API Reference, "tenant (data type for replication)"
 */
export interface TenantReplication {
  /** `PAUSED`: by a user. `AUTO_PAUSED`: by HCP, for example since the other system has another tenant of this name. */
  readonly status: Or<'REPLICATING' | 'PAUSED' | 'AUTO_PAUSED'>
  readonly upToDateAsOfString?: Date
  readonly upToDateAsOfMillis?: Date
  readonly objectsPending?: Long
  readonly bytesPending?: Long
  readonly objectsPendingRemote?: Long
  readonly bytesPendingRemote?: Long
}

const names = list('name', text())

export const contentSchema: DocumentSchema<LinkContent> = document(
  'content',
  record({
    tenants: names,
    defaultNamespaceDirectories: optional(names),
    chainedLinks: optional(names),
  }),
)

export const tenantSchema: DocumentSchema<TenantReplication> = document(
  'tenant',
  record({
    status: text(),
    upToDateAsOfString: timeIfAny(timestamp()),
    upToDateAsOfMillis: timeIfAny(epochMillis()),
    objectsPending: optional(long()),
    bytesPending: optional(long()),
    objectsPendingRemote: optional(long()),
    bytesPendingRemote: optional(long()),
  }),
)
