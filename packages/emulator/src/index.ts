export type { Choices } from './lib/choices.ts'
export type {
  EmulatorConfig,
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
export type { LogFailures } from './lib/control-server.ts'
export type { LogSeed } from './lib/logs/invented-history.ts'
export type { RequestRecord } from './lib/request-log.ts'
export type { ServiceReport } from './lib/services.ts'
export type { Seed } from './lib/seed.ts'
export type { SymlinkSeed } from './lib/symlinks.ts'
