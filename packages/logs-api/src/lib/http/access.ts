export type Role = 'admin' | 'system' | 'user'

/** Routes that share shapes: of errors, of refusals without a token, of the answers to wrong methods. */
export type Group = 'entries' | 'operations' | 'exports' | 'v2' | 'otlp' | 'open'

export interface RouteAccess {
  readonly group: Group
  /** One of these is enough. `any`: some role. `open`: no token is asked for. */
  readonly roles: readonly Role[] | 'any' | 'open'
  /** What a caller with the role `user` alone needs of the dataset in the path. */
  readonly right?: 'read' | 'write'
}

const admin = ['admin'] as const
const entryWriters = ['admin', 'system'] as const
const datasetUsers = ['admin', 'user'] as const
const all = ['admin', 'system', 'user'] as const

/** Every route there is and who may use it. A route that is not here cannot be added to the service. */
export const routeAccess: Readonly<Record<string, RouteAccess>> = {
  'GET /logs': { group: 'entries', roles: entryWriters },
  'POST /logs': { group: 'entries', roles: entryWriters },
  'GET /logs/:log_id': { group: 'entries', roles: entryWriters },
  'DELETE /logs/:log_id': { group: 'entries', roles: entryWriters },
  'POST /datasets/:dataset_id/logs': { group: 'entries', roles: datasetUsers, right: 'write' },
  'DELETE /datasets/:dataset_id/logs': { group: 'entries', roles: datasetUsers, right: 'write' },
  'GET /datasets/:dataset_id/logs/:log_id': { group: 'entries', roles: datasetUsers, right: 'read' },
  'GET /datasets/:dataset_id/tasks/:task_id/logs': { group: 'entries', roles: datasetUsers, right: 'read' },
  'DELETE /datasets/:dataset_id/tasks/:task_id/logs': {
    group: 'entries',
    roles: datasetUsers,
    right: 'write',
  },

  'GET /v1/:project/operation_logs': { group: 'operations', roles: all },
  'GET /v1/:project/operation_logs/:operation_log_id': { group: 'operations', roles: all },

  'GET /v1/:project/physicalservers/:server/logs/exports': { group: 'exports', roles: all },
  'POST /v1/:project/physicalservers/:server/logs/exports': { group: 'exports', roles: all },
  'GET /v1/:project/physicalservers/:server/logs/exports/:export_id': { group: 'exports', roles: all },
  'DELETE /v1/:project/physicalservers/:server/logs/exports/:export_id': { group: 'exports', roles: all },
  'GET /v1/:project/physicalservers/:server/logs/exports/:export_id/content': {
    group: 'exports',
    roles: all,
  },

  'POST /v1/logs': { group: 'otlp', roles: all },

  'GET /v2/logs': { group: 'v2', roles: all },
  'GET /v2/logs/tail': { group: 'v2', roles: all },
  'POST /v2/logs/bulk': { group: 'v2', roles: all },
  'GET /v2/datasets/:dataset_id/rights': { group: 'v2', roles: admin },
  'PUT /v2/datasets/:dataset_id/rights': { group: 'v2', roles: admin },
  'DELETE /v2/datasets/:dataset_id/rights': { group: 'v2', roles: admin },
  'GET /v2/operations': { group: 'v2', roles: all },
  'GET /v2/operations/:id': { group: 'v2', roles: all },
  'POST /v2/operations': { group: 'v2', roles: entryWriters },
  'PATCH /v2/operations/:id': { group: 'v2', roles: entryWriters },
  'GET /v2/exports': { group: 'v2', roles: all },
  'GET /v2/exports/:export_id': { group: 'v2', roles: all },
  'GET /v2/exports/:export_id/events': { group: 'v2', roles: all },
  'GET /v2/retention': { group: 'v2', roles: admin },
  'PUT /v2/retention': { group: 'v2', roles: admin },
  'POST /v2/retention/run': { group: 'v2', roles: admin },

  'GET /healthz': { group: 'open', roles: 'open' },
  'GET /livez': { group: 'open', roles: 'open' },
  'GET /readyz': { group: 'open', roles: 'open' },
  'GET /openapi.json': { group: 'open', roles: 'open' },
}
