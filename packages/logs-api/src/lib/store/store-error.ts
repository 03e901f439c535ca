import { Refusal } from '../http/refusal.ts'
import { SqliteError, SqliteThreadEnded } from './sqlite-thread.ts'

/** Whether the store cannot be reached, or cannot work at the moment: the request was right and may be sent again. */
export function isStoreDown(error: unknown): boolean {
  if (error instanceof SqliteThreadEnded) return true
  if (error instanceof SqliteError) return downCodes.has((error.errcode ?? 0) & 0xff)
  if (!(error instanceof Error)) return false
  const { code } = error as Error & { code?: unknown }
  if (typeof code === 'string' && (networkCodes.has(code) || postgresDown.test(code))) return true
  return withoutCode.test(error.message)
}

/** What to answer to an error of the store: 503 where it is down or the query took too long. Undefined: it is another error. */
export function storeRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (isStoreDown(error))
    return new Refusal(503, 'The store cannot be reached at the moment. Send the request again later.', {
      headers: { 'retry-after': '5' },
      cause: error,
    })
  if (error instanceof Error && 'code' in error && error.code === queryCanceled)
    return new Refusal(503, 'The query took too long. Ask for a shorter time, a dataset or fewer words.', {
      headers: { 'retry-after': '30' },
      cause: error,
    })
  if (error instanceof Error && 'code' in error && rolledBack.has(error.code))
    return new Refusal(503, 'Another request was changing the same rows. Send the request again.', {
      headers: { 'retry-after': '1' },
      cause: error,
    })
  return undefined
}

/** SQLITE_BUSY, LOCKED, READONLY, IOERR, FULL and CANTOPEN. */
const downCodes = new Set([5, 6, 8, 10, 13, 14])

const networkCodes = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/** Connections that fail (08), no resources (53), a server that starts, stops or takes no writes after a change of roles. */
const postgresDown = /^(?:08...|53...|57P0[1-5]|25006)$/

/** SQLSTATE of a query ended by `statement_timeout`. */
const queryCanceled = '57014'

/** SQLSTATE of transactions that PostgreSQL gave up for others: a serialization failure, a deadlock. */
const rolledBack = new Set<unknown>(['40001', '40P01'])

/** pg tells these by text alone. */
const withoutCode =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed and is not queryable|driver has already been destroyed)/
