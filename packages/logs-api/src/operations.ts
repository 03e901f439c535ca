export { HttpSink, type HttpSinkOptions } from './lib/operations/http-sink.ts'
export type { NewOperation, Operation, OperationChanges, Operations } from './lib/operations/operation.ts'
export { OperationRefusedError, type OperationSink } from './lib/operations/operation-sink.ts'
export type { OperationOutcome, RecordedAction } from './lib/operations/recorded-action.ts'
export {
  type OperationLog,
  OperationRecorder,
  type OperationRecorderOptions,
  type RecordedOperation,
} from './lib/operations/recorder.ts'
export { StoreSink } from './lib/operations/store-sink.ts'
