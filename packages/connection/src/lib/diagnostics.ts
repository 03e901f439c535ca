import { channel, type Channel } from 'node:diagnostics_channel'
import type { Call } from './call.ts'
import type { FailoverState } from './failover.ts'
import type { SystemName } from './replica-strategy.ts'
import type { Timing } from './response.ts'

/** Facts of a request that all events carry. No headers, no query, no body: nothing in an event is secret. */
export interface RequestEvent {
  readonly method: string
  /** Scheme, host, port and path, without query. */
  readonly url: string
  /** The try that the event speaks of, from 1. */
  readonly attempt: number
  /** The node, once there is one. */
  readonly address: string | undefined
  /** The system that is asked. */
  readonly system: SystemName
}

/** Channel `hcp:request`: a try begins. */
export type RequestStartEvent = RequestEvent

/** Channel `hcp:retry`: a try failed and another follows after `delay` milliseconds. */
export interface RetryEvent extends RequestEvent {
  /** `HTTP_503` and the like, or the code of an `HcpError`. */
  readonly code: string
  readonly delay: number
}

/** Channel `hcp:response`: the body of an answer has come to its end. */
export interface ResponseEvent extends RequestEvent {
  readonly status: number
  readonly servicedBy: string | undefined
  readonly timing: Timing
}

/** Channel `hcp:error`: the call failed. */
export interface ErrorEvent extends RequestEvent {
  readonly code: string
  readonly message: string
}

/** Channel `hcp:failover`: a target with a replica counts as failed over, or no longer. */
export interface FailoverEvent extends FailoverState {
  /** Name of the primary. */
  readonly fqdn: string
  /** Name of the replica. */
  readonly replica: string
  readonly previous: FailoverState['state']
}

export const requestChannel: Channel<RequestStartEvent> = channel(
  'hcp:request',
) as unknown as Channel<RequestStartEvent>
export const retryChannel: Channel<RetryEvent> = channel('hcp:retry') as unknown as Channel<RetryEvent>
export const responseChannel: Channel<ResponseEvent> = channel(
  'hcp:response',
) as unknown as Channel<ResponseEvent>
export const errorChannel: Channel<ErrorEvent> = channel('hcp:error') as unknown as Channel<ErrorEvent>
export const failoverChannel: Channel<FailoverEvent> = channel(
  'hcp:failover',
) as unknown as Channel<FailoverEvent>

export const eventOf = (call: Call, address: string | undefined): RequestEvent => ({
  method: call.method,
  url: call.url,
  attempt: call.attempts,
  address,
  system: call.system,
})
