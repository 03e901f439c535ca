export { type InformationOptions, maximumDocumentSize, NamespaceInfo } from './lib/namespace-info.ts'
export type {
  NamespaceSettings,
  NamespaceStatistics,
  PermissionDomains,
  Permissions,
  RetentionClass,
} from './lib/information.ts'
export type { ByteCount } from './lib/values.ts'
