import type { Resource } from './resource.ts'

/** `/mapi/services/replication` and what is below it. */
export const replicationResources: readonly Resource[] = []
