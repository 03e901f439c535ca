import { accountResources } from './account-resources.ts'
import { chargebackResources } from './chargeback-resources.ts'
import { housekeepingResources } from './housekeeping-resources.ts'
import { logResources } from './logs-resources.ts'
import { namespaceResources } from './namespace-resources.ts'
import { replicationResources } from './replication-resources.ts'
import type { Resource } from './resource.ts'
import { settingsResources } from './settings-resources.ts'
import { tenantResources } from './tenant-resources.ts'

/** Everything that the management API has. */
export const resources: readonly Resource[] = [
  ...tenantResources,
  ...namespaceResources,
  ...settingsResources,
  ...accountResources,
  ...chargebackResources,
  ...housekeepingResources,
  ...logResources,
  ...replicationResources,
]
