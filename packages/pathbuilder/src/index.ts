export { PathBuilderError, type PathBuilderErrorCode } from './lib/errors.ts'
export { PathBuilder, type PathBuilderOptions, type UniqueName } from './lib/path-builder.ts'
