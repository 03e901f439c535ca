import type { Resource } from './resource.ts'

/** `/mapi/logs` and what is below it. */
export const logResources: readonly Resource[] = []
