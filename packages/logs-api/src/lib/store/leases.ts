import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RawBuilder, sql } from 'kysely'
import type { ServiceLog } from '../http/context.ts'
import { nowMicroseconds } from '../time.ts'
import type { Database } from './database.ts'

export interface LeaseOptions {
  /** Ends it all: the work first, then the lease. */
  readonly stopping: AbortSignal
  /** The lease goes to somebody else this long after its holder was last heard of. Default 10. */
  readonly seconds?: number
  /** Told when the work or the store fails. Default: nobody. */
  readonly log?: ServiceLog
}

/**
 * Does the work while this process holds the lease of this name, which is one process at a time of those that share the store. Keeps trying
 * to get it, again also when it was lost or the work has ended. Resolves when it is stopped and the work has ended.
 *
 * @param work Has to end soon after its signal is aborted: when the lease is lost, or at the stop. Gets the holder that the row of the lease
 *   names while it is held, for conditions on what it writes.
 */
export async function whileHeld(
  database: Database,
  name: string,
  { stopping, seconds = 10, log }: LeaseOptions,
  work: (signal: AbortSignal, holder: string) => Promise<void>,
): Promise<void> {
  const lease = { database, name, holder: randomUUID(), seconds }
  while (!stopping.aborted) {
    let pause = (seconds * 1000) / 5
    try {
      const asked = performance.now()
      const left = await take(lease)
      if (left === undefined) await hold(lease, asked, stopping, work)
      else pause = Math.min(pause, left + 5)
    } catch (error) {
      // Without its text: that could hold values of the query.
      log?.warn({ lease: name, error: nameOf(error) }, 'What a lease is held for failed, and is tried again.')
    }
    if (!stopping.aborted) await sleep(pause, undefined, { signal: stopping }).catch(() => undefined)
  }
}

/**
 * Does the work if nobody holds the lease of this name, and holds it meanwhile. Undefined: somebody holds it.
 *
 * @param work Has to end soon after its signal is aborted: when the lease is lost, or at the stop.
 */
export async function ifFree<Result>(
  database: Database,
  name: string,
  { stopping, seconds = 10 }: Omit<LeaseOptions, 'log'>,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<{ readonly result: Result } | undefined> {
  const lease = { database, name, holder: randomUUID(), seconds }
  const asked = performance.now()
  if ((await take(lease)) !== undefined) return undefined
  return { result: await hold(lease, asked, stopping, work) }
}

interface Lease {
  readonly database: Database
  readonly name: string
  readonly holder: string
  readonly seconds: number
}

async function hold<Result>(
  lease: Lease,
  asked: number,
  stopping: AbortSignal,
  work: (signal: AbortSignal, holder: string) => Promise<Result>,
): Promise<Result> {
  const lost = new AbortController()
  const over = new AbortController()
  const renewing = renew(lease, asked, lost, over.signal)
  try {
    return await work(AbortSignal.any([stopping, lost.signal]), lease.holder)
  } finally {
    over.abort()
    await renewing
    // Where the store is gone it ends by itself.
    await release(lease).catch(() => undefined)
  }
}

/** Keeps the lease until `over`, and tells when it was lost. */
async function renew(lease: Lease, asked: number, lost: AbortController, over: AbortSignal): Promise<void> {
  const length = lease.seconds * 1000
  // The store counts from when it got the question, which is later, so we are done before anybody else begins.
  const lose = (): void => lost.abort(new Error(`The lease ${lease.name} was lost.`))
  let deadline = setTimeout(lose, asked + length * 0.9 - performance.now())
  try {
    while (!over.aborted && !lost.signal.aborted) {
      await sleep(length / 3, undefined, { signal: over }).catch(() => undefined)
      if (over.aborted) break
      const renewed = performance.now()
      try {
        if (await prolong(lease)) {
          clearTimeout(deadline)
          if (!lost.signal.aborted) deadline = setTimeout(lose, renewed + length * 0.9 - performance.now())
        } else lose()
      } catch {
        // Perhaps the next time, before the deadline.
      }
    }
  } finally {
    clearTimeout(deadline)
  }
}

/** Undefined: it is ours, until `seconds` from now. Else the milliseconds that are left to its holder. */
async function take({ database, name, holder, seconds }: Lease): Promise<number | undefined> {
  const now = clock(database)
  const { numAffectedRows = 0n } = await sql`
    insert into leases (name, holder, until) values (${name}, ${holder}, ${now} + ${seconds * 1_000_000})
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
    where leases.until < ${now}`.execute(database.write)
  if (numAffectedRows > 0n) return undefined
  const { rows } = await sql<{ left: number }>`
    select until - ${now} as "left" from leases where name = ${name}`.execute(database.write)
  return Math.max(0, (rows[0]?.left ?? 0) / 1000)
}

/** False: somebody else has, or had it in between. */
async function prolong({ database, name, holder, seconds }: Lease): Promise<boolean> {
  const { numAffectedRows = 0n } = await sql`
    update leases set until = ${clock(database)} + ${seconds * 1_000_000}
    where name = ${name} and holder = ${holder}`.execute(database.write)
  return numAffectedRows > 0n
}

/** Microseconds since 1970. The clocks of several machines differ; that of the store is one. */
function clock(database: Database): RawBuilder<number> {
  return database.dialect === 'postgres'
    ? sql<number>`(extract(epoch from now()) * 1000000)::bigint`
    : sql<number>`${nowMicroseconds()}`
}

async function release({ database, name, holder }: Lease): Promise<void> {
  await database.write.deleteFrom('leases').where('name', '=', name).where('holder', '=', holder).execute()
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
