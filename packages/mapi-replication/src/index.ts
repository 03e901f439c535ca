export type { ActionEvent, ActionOutcome, OnAction } from './lib/action-log.ts'
export type { ReplicationCertificate } from './lib/certificates.ts'
export type { LinkChange } from './lib/changes.ts'
export {
  LinkAction,
  LinkType,
  R_ACTIVE_ACTIVE,
  R_BEGINRECOVERY,
  R_COMPLETERECOVERY,
  R_FAILBACK,
  R_FAILOVER,
  R_INBOUND,
  R_OUTBOUND,
  R_RESTORE,
  R_RESUME,
  R_SUSPEND,
} from './lib/constants.ts'
export type { ContentKind, LinkContent, TenantReplication } from './lib/content.ts'
export {
  type GuardRule,
  type PlanProblem,
  ReplicationError,
  type ReplicationErrorCode,
  ReplicationGuardError,
  ReplicationPlanError,
  ReplicationRefusedError,
  ReplicationTimeoutError,
  ReplicationUncertainError,
} from './lib/errors.ts'
export {
  type FailoverGoal,
  type FailoverPlan,
  type FailoverQuestion,
  type FailoverStep,
  type FailoverStepName,
  planFailover,
} from './lib/failover-plan.ts'
export {
  executeFailover,
  type FailoverEvent,
  type FailoverOptions,
  type FailoverProgress,
} from './lib/failover-run.ts'
export { type FailoverView, type OtherView, type SurvivorView, viewLink } from './lib/failover-view.ts'
export type { ActionResult } from './lib/link-actions.ts'
export type { ConnectionChanges, LinkChanges, NewLink } from './lib/link-documents.ts'
export { type LinkState, linkState } from './lib/link-state.ts'
export type {
  FailoverRule,
  FailoverSettings,
  Link,
  LinkConnection,
  LinkSettings,
  LinkStatistics,
  Or,
} from './lib/link.ts'
export {
  type ActionOptions,
  type CallOptions,
  ReplicationClient,
  type ReplicationClientOptions,
} from './lib/replication-client.ts'
export type {
  LinkSchedule,
  PerformanceLevel,
  ScheduleChanges,
  ScheduleTransition,
  SideSchedule,
} from './lib/schedule.ts'
export type { ReplicationSettings } from './lib/settings.ts'
export type { WaitOptions, WaitProgress } from './lib/wait-for.ts'
export type { LinkChanged, LinkEvent, LinkSeen, LinkUnreachable, WatchOptions } from './lib/watch.ts'
export { type LinkCondition, when } from './lib/when.ts'
