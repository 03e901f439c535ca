export { createLogsService, type ListenOptions, type LogsService } from './lib/http/service.ts'
export type {
  AuthOptions,
  BodyOptions,
  ExportOptions,
  LogsServiceOptions,
  RetentionOptions,
  SystemOptions,
} from './lib/http/options.ts'
export type { ServiceContext, ServiceLog } from './lib/http/context.ts'
export { distributeTables } from './lib/store/citus.ts'
export { openDatabase } from './lib/store/open-database.ts'
export type { Database } from './lib/store/database.ts'
export { OperationStore } from './lib/operations/operation-store.ts'
