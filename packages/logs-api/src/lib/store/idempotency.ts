import { nowMicroseconds } from '../time.ts'
import type { Database } from './database.ts'

const second = 1_000_000

export interface ClaimedRequest {
  readonly caller: string
  readonly key: string
  /** Method and URL. */
  readonly route: string
  /** SHA-256 of the body, if it has been read already. */
  readonly bodyHash: string | undefined
}

export interface StoredAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export type Claim =
  /** The request is ours to do. `claimedAt`: microseconds, when the key was first seen, also if somebody else began the work. */
  | { readonly state: 'ours'; readonly claimedAt: number }
  /** Somebody is at it. */
  | { readonly state: 'running' }
  /** The key belongs to another route or body. */
  | { readonly state: 'other' }
  /** It was done before. `bodyHash`: of the body that came then. */
  | { readonly state: 'done'; readonly bodyHash: string | null; readonly answer: StoredAnswer }

export interface IdempotencyOptions {
  /** Seconds without a sign after which whoever works on a request counts as dead. Default 60. */
  readonly claimSeconds?: number
  /** Seconds that answers are kept. Default a day. */
  readonly keepSeconds?: number
}

/** Requests that came with a key, and their answers: in the store, so that all processes know of them. */
export class IdempotencyKeys {
  readonly #database: Database
  readonly #claim: number
  readonly #keep: number
  /** Requests of this process that claim a key or have it, by caller and key. */
  readonly #atWork = new Map<string, number>()

  constructor(database: Database, { claimSeconds = 60, keepSeconds = 24 * 3600 }: IdempotencyOptions = {}) {
    this.#database = database
    this.#claim = claimSeconds * second
    this.#keep = keepSeconds * second
  }

  /** Microseconds between signs of life (`renew`). */
  get renewEvery(): number {
    return this.#claim / 3
  }

  /** A request that it is `ours` for has to be followed by `complete` or `release`. */
  async claim(request: ClaimedRequest): Promise<Claim> {
    this.#begin(request)
    let ours = false
    try {
      const claim = await this.#claimInStore(request)
      ours = claim.state === 'ours'
      return claim
    } finally {
      if (!ours) this.#end(request)
    }
  }

  async #claimInStore(request: ClaimedRequest): Promise<Claim> {
    const { caller, key, route, bodyHash = null } = request
    for (;;) {
      const now = nowMicroseconds()
      const mine = {
        route,
        claimed_at: now,
        status: null,
        body_hash: bodyHash,
        headers: null,
        answer: null,
        holder: this.#database.holder,
        expires_at: now + this.#claim,
      }
      const inserted = await this.#database.write
        .insertInto('idempotency_keys')
        .values({ caller, key, ...mine })
        .onConflict((conflict) => conflict.columns(['caller', 'key']).doNothing())
        .executeTakeFirst()
      if (inserted.numInsertedOrUpdatedRows === 1n) return { state: 'ours', claimedAt: now }

      // Not `read`: that may be a moment behind.
      const known = await this.#database.write
        .selectFrom('idempotency_keys')
        .selectAll()
        .where('caller', '=', caller)
        .where('key', '=', key)
        .executeTakeFirst()
      if (known === undefined) continue
      const forgotten =
        known.expires_at <= now && (known.status !== null || known.claimed_at + this.#keep <= now)
      if (!forgotten) {
        const sameBody = known.body_hash === null || bodyHash === null || known.body_hash === bodyHash
        if (known.route !== route || !sameBody) return { state: 'other' }
        if (known.status !== null) {
          return { state: 'done', bodyHash: known.body_hash, answer: stored(known.status, known) }
        }
        // A claim of this process that nobody here works on: the store failed before it could be given back.
        const left = known.holder === this.#database.holder && this.#atWork.get(idOf(request)) === 1
        if (known.expires_at > now && !left) return { state: 'running' }
      }
      const claimedAt = forgotten ? now : known.claimed_at
      const taken = await this.#database.write
        .updateTable('idempotency_keys')
        .set({ ...mine, claimed_at: claimedAt, body_hash: bodyHash ?? (forgotten ? null : known.body_hash) })
        .where('caller', '=', caller)
        .where('key', '=', key)
        // Whoever comes first changes it.
        .where('expires_at', '=', known.expires_at)
        .where('holder', '=', known.holder)
        .executeTakeFirst()
      if (taken.numUpdatedRows === 1n) return { state: 'ours', claimedAt }
    }
  }

  /** A sign of life of whoever works on the request. */
  async renew(request: ClaimedRequest): Promise<void> {
    await this.#change(request, { expires_at: nowMicroseconds() + this.#claim })
  }

  /** Keeps the answer. */
  async complete(request: ClaimedRequest, bodyHash: string | undefined, answer: StoredAnswer): Promise<void> {
    await this.#finish(request, {
      status: answer.status,
      body_hash: bodyHash ?? null,
      headers: JSON.stringify(answer.headers),
      answer: answer.body.toString('base64'),
      expires_at: nowMicroseconds() + this.#keep,
    })
  }

  /** Lets the request be done again at once. What it has stored already keeps its ids: the time of the claim stays. */
  async release(request: ClaimedRequest): Promise<void> {
    await this.#finish(request, { expires_at: nowMicroseconds() })
  }

  /** Removes what is forgotten. */
  async purge(): Promise<void> {
    const now = nowMicroseconds()
    await this.#database.write
      .deleteFrom('idempotency_keys')
      .where('expires_at', '<=', now)
      .where((row) => row.or([row('status', 'is not', null), row('claimed_at', '<=', now - this.#keep)]))
      .execute()
  }

  async #finish(request: ClaimedRequest, changes: object): Promise<void> {
    try {
      await this.#change(request, changes)
    } finally {
      this.#end(request)
    }
  }

  #begin(request: ClaimedRequest): void {
    const id = idOf(request)
    this.#atWork.set(id, (this.#atWork.get(id) ?? 0) + 1)
  }

  #end(request: ClaimedRequest): void {
    const id = idOf(request)
    const others = (this.#atWork.get(id) ?? 0) - 1
    if (others > 0) this.#atWork.set(id, others)
    else this.#atWork.delete(id)
  }

  async #change({ caller, key }: ClaimedRequest, changes: object): Promise<void> {
    await this.#database.write
      .updateTable('idempotency_keys')
      .set(changes)
      .where('caller', '=', caller)
      .where('key', '=', key)
      .where('holder', '=', this.#database.holder)
      .where('status', 'is', null)
      .execute()
  }
}

const idOf = ({ caller, key }: ClaimedRequest): string => JSON.stringify([caller, key])

function stored(status: number, row: { headers: string | null; answer: string | null }): StoredAnswer {
  return {
    status,
    headers: JSON.parse(row.headers ?? '{}') as Record<string, string>,
    body: Buffer.from(row.answer ?? '', 'base64'),
  }
}
