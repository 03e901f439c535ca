import type { Resource } from './resource.ts'

export const tenantResources: readonly Resource[] = [
  {
    path: '/tenants',
    operations: {
      GET: {
        allowed: { system: ['MONITOR', 'ADMINISTRATOR'] },
        handle: ({ system }) => ({
          document: {
            root: 'tenants',
            value: { name: [...system.tenants.values()].map(({ name }) => name) },
          },
        }),
      },
    },
  },
]
