export type { Choices } from './lib/choices.ts'
export type {
  EmulatorConfig,
  LinkConfig,
  NamespaceConfig,
  SystemUserConfig,
  TenantConfig,
  UserConfig,
} from './lib/config.ts'
export type { DnsBehaviour } from './lib/dns-server.ts'
export { Emulator, startEmulator } from './lib/emulator.ts'
export type {
  EmulatorOptions,
  EmulatorPorts,
  EmulatorState,
  ReadyLine,
  SystemSummary,
  TenantSummary,
} from './lib/emulator.ts'
export type { ActiveFault, Fault, FaultKind, FaultMoment } from './lib/faults.ts'
export type { LinkFault, ActiveLinkFault } from './lib/replication/link-faults.ts'
export type { LinkType } from './lib/replication/link.ts'
export type { ReplicationBehaviour } from './lib/replication/replication-pair.ts'
export type { LinkSummary, ReplicationStatus } from './lib/replication/replication-status.ts'
export type { LogFailures } from './lib/control-server.ts'
export type { LogSeed } from './lib/logs/invented-history.ts'
export type { RequestRecord } from './lib/request-log.ts'
export type { ServiceReport } from './lib/services.ts'
export type { Seed } from './lib/seed.ts'
export type { SymlinkSeed } from './lib/symlinks.ts'
