import type { LogType } from './log-type.ts'

/**
 * What HCP's one log job is at: there is none (`idle`), it is being prepared, can be downloaded (`ready`), is being downloaded
 * (`streaming`), or has failed.
 */
export type LogState = 'idle' | 'preparing' | 'ready' | 'streaming' | 'failed'

/** What HCP says about its log job, which it has one of for all its users together. */
export interface LogStatus {
  readonly state: LogState
  /** Kinds of logs that HCP names. Before a download all four, whatever will be selected. Kinds that a newer HCP has are kept. */
  readonly content: readonly (LogType | (string & {}))[]
  readonly readyForStreaming: boolean
  readonly streamingInProgress: boolean
  /** Stays true after the preparation: there is a job. */
  readonly started: boolean
  readonly error: boolean
  /** Whatever else HCP said, by its names. */
  readonly unknown: Readonly<Record<string, unknown>>
}

export interface StatusDocument {
  readonly readyForStreaming: boolean
  readonly streamingInProgress: boolean
  readonly started: boolean
  readonly error: boolean
  readonly content: readonly string[]
}

/**
 * The flags are read in this order: error, ready, streaming, started. `started` stays true after the preparation, and a package from
 * which somebody downloads at this moment may still be called ready: then `streamingInProgress` tells.
 */
export function logStatus(document: StatusDocument & Readonly<Record<string, unknown>>): LogStatus {
  const { readyForStreaming, streamingInProgress, started, error, content, ...unknown } = document
  return {
    state: stateOf(document),
    content: content.filter((kind) => kind !== ''),
    readyForStreaming,
    streamingInProgress,
    started,
    error,
    unknown,
  }
}

function stateOf({ error, readyForStreaming, streamingInProgress, started }: StatusDocument): LogState {
  if (error) return 'failed'
  if (readyForStreaming) return 'ready'
  if (streamingInProgress) return 'streaming'
  return started ? 'preparing' : 'idle'
}
