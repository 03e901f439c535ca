import {
  LogPackageError,
  LogsDamagedError,
  LogsError,
  LogsFailedError,
  LogsFileError,
  LogsLostError,
} from '@hcp/mapi-logs'
import type { ExportError } from './export-task.ts'

/** Why an export has failed, for its caller. What is not foreseen is told in the service's log only. */
export function exportError(error: unknown, doing: 'prepare' | 'fetch' | 'store'): ExportError {
  if (isDiskFull(error))
    return failure(
      '0507',
      'There is no room left on the disk of the service for the package. Make room, then export again.',
    )
  if (error instanceof LogsFileError || isSystemError(error))
    return failure(
      '0508',
      'The service cannot write the package to its disk. Check its folder for exports, then export again.',
    )
  if (error instanceof LogPackageError || error instanceof LogsDamagedError)
    return failure('0502', `The package that HCP sent cannot be used: ${sentence(error.message)}`)
  if (error instanceof LogsFailedError || error instanceof LogsLostError)
    return failure('0502', `${error.message} It was tried twice. Export again later.`)
  if (error instanceof LogsError) return failure('0502', error.message)
  const { status, reason, code } = error as { status?: unknown; reason?: unknown; code?: unknown }
  const whom = doing === 'store' ? 'The namespace for archives' : "HCP's management API"
  if (typeof status === 'number') {
    const said = typeof reason === 'string' ? ` It says: ${sentence(reason)}` : ''
    const advice =
      status === 401 || status === 403 ? ' Have the account checked that the service uses there.' : ''
    return failure(
      doing === 'store' ? '0509' : '0502',
      `${whom} answered with status ${status}.${said}${advice}`,
    )
  }
  if (typeof code === 'string' && code.startsWith('HCP_'))
    return failure(
      doing === 'store' ? '0509' : '0503',
      `${whom} could not be reached or did not answer as it should (${code}). Export again later.`,
    )
  return failure('0500', 'The service failed in a way that was not foreseen. Its own log tells more.')
}

/** HCP's one log job was others' for all the time that there was. */
export function busyError(milliseconds: number): ExportError {
  const time =
    milliseconds >= 60_000 ? `${Math.round(milliseconds / 60_000)} minutes` : `${milliseconds} milliseconds`
  return failure(
    '0503',
    `HCP makes one package of logs at a time, and was busy with somebody else's for ${time}. Have that one cancelled or wait for its end, then export again.`,
  )
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

function failure(code: string, error_msg: string): ExportError {
  return { error_code: `HcpLogs.${code}`, error_msg }
}

/** As it may succeed later. */
export function isRetryable(error: unknown): boolean {
  return (error as { retryable?: unknown } | null)?.retryable === true
}

/** Whether HCP may have carried out a request that failed. */
export function mayHaveBeenDone(error: unknown): boolean {
  if (error instanceof LogsError || error instanceof TypeError || error instanceof RangeError) return false
  const { sent, status } = error as { sent?: unknown; status?: unknown }
  if (typeof status === 'number') return status >= 500
  return sent !== false
}

function codeOf(error: unknown): unknown {
  const cause = error instanceof LogsFileError ? error.cause : error
  return (cause as { code?: unknown } | null | undefined)?.code
}

function isDiskFull(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** Of the file system: those of the network have an address. */
export function isDiskError(error: unknown): boolean {
  const code = codeOf(error)
  return error instanceof Error && 'path' in error && 'syscall' in error && typeof code === 'string'
}

function isSystemError(error: unknown): boolean {
  const code = codeOf(error)
  return error instanceof Error && 'syscall' in error && typeof code === 'string' && /^E[A-Z]+$/.test(code)
}
