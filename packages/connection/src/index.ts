export { type Body, type BodyContent, FileBody } from './lib/body.ts'
export { Connection } from './lib/connection.ts'
export type { ConnectionOptions, HedgeOptions } from './lib/connection-options.ts'
export type {
  ErrorEvent,
  FailoverEvent,
  RequestEvent,
  RequestStartEvent,
  ResponseEvent,
  RetryEvent,
} from './lib/diagnostics.ts'
export {
  type AttemptFailure,
  type ErrorFacts,
  HcpAmbiguousError,
  HcpAuthorizationError,
  HcpBodyError,
  HcpCertificateError,
  HcpClosedError,
  HcpConnectError,
  HcpDnsError,
  HcpError,
  type HcpErrorCode,
  HcpHashError,
  HcpProtocolError,
  HcpReplicaError,
  HcpResponseError,
  HcpSocketError,
  HcpTimeoutError,
  HcpTlsError,
  HcpTruncatedError,
  type TimeoutPhase,
} from './lib/errors.ts'
export type { FailoverOptions, FailoverReason, FailoverState } from './lib/failover.ts'
export type { Replica, ReplicaOptions } from './lib/replica.ts'
export {
  ReplicaStrategy,
  RS_READ_ALLOWED,
  RS_READ_ON_FAILOVER,
  RS_WRITE_ALLOWED,
  RS_WRITE_ON_FAILOVER,
  type SystemName,
} from './lib/replica-strategy.ts'
export type { BodyOptions, RequestOptions } from './lib/request-plan.ts'
export { HcpResponse, type ResponseHeaders, type Timing } from './lib/response.ts'
export { RetryBudget, type RetryOptions } from './lib/retry.ts'
export { Port, Target, type TargetOptions, type TlsOptions } from './lib/target.ts'
export type { Params, ParamValue } from './lib/url.ts'
