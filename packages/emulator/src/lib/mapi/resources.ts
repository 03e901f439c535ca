import { logResources } from './logs-resources.ts'
import { replicationResources } from './replication-resources.ts'
import type { Resource } from './resource.ts'
import { tenantResources } from './tenant-resources.ts'

/** Everything that the management API has. */
export const resources: readonly Resource[] = [...tenantResources, ...logResources, ...replicationResources]
