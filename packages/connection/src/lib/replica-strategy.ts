/** Which of the two systems that a target names: its own, or its replica. */
export type SystemName = 'primary' | 'replica'

/**
 * When the replica may be used. Combine several as a list or by `|`. The primary is always asked first, but while it counts as failed
 * over; see `FailoverOptions` for what that is.
 */
export const ReplicaStrategy: {
  /** A read that the primary could not serve goes to the replica at once. */
  readonly readAllowed: 1
  /** Reads go to the replica while the primary counts as failed over. */
  readonly readOnFailover: 2
  /** A write of which nothing can have reached the primary goes to the replica at once. For active/active links only. */
  readonly writeAllowed: 4
  /** Writes go to the replica while the primary counts as failed over. */
  readonly writeOnFailover: 8
} = { readAllowed: 1, readOnFailover: 2, writeAllowed: 4, writeOnFailover: 8 }

/** One of the constants in {@link ReplicaStrategy}, or several joined by `|`. */
export type ReplicaStrategy = number

// The names that Python's hcpsdk declares.
export const RS_READ_ALLOWED = 1 as const
export const RS_READ_ON_FAILOVER = 2 as const
export const RS_WRITE_ALLOWED = 4 as const
export const RS_WRITE_ON_FAILOVER = 8 as const

/** The strategy as one number. @throws {TypeError | RangeError} for what is none. */
export function checkStrategy(strategy: unknown): ReplicaStrategy {
  const parts: readonly unknown[] = Array.isArray(strategy) ? strategy : [strategy]
  let all = 0
  for (const part of parts) {
    if (typeof part !== 'number') {
      throw new TypeError(
        'replica.strategy must be made of the constants of ReplicaStrategy, for example [ReplicaStrategy.readOnFailover]',
      )
    }
    if (!Number.isInteger(part) || part < 1 || part > 15) {
      throw new RangeError(`replica.strategy: ${part} is none of the constants of ReplicaStrategy`)
    }
    all |= part
  }
  if (all === 0) throw new RangeError('replica.strategy must name at least one of ReplicaStrategy')
  return all
}

/** The names of a strategy, for messages. */
export const namesOf = (strategy: ReplicaStrategy): string =>
  Object.entries(ReplicaStrategy)
    .filter(([, value]) => (strategy & value) !== 0)
    .map(([name]) => name)
    .join(', ')
