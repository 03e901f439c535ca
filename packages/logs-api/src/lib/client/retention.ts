import { record } from './answers.ts'
import { type CallOptions, checkCall, checkFlag, checkWrite, type WriteOptions } from './arguments.ts'
import { isRecord } from './refusal.ts'
import type { Transport } from './transport.ts'

/** What is kept for how long. */
export interface RetentionPolicy {
  /** The first that fits an entry decides; an entry that none fits is kept. */
  readonly rules: readonly RetentionRule[]
  /** Days that operation logs are kept. Null: for ever. */
  readonly operations_days: number | null
}

export interface RetentionRule {
  /** Of entries; `*` stands for any text, `?` for any one character. */
  readonly name: string
  /** Null: entries of any dataset and of none. */
  readonly dataset_id: string | null
  /** Null: for ever. */
  readonly days: number | null
}

export interface RemovedCounts {
  readonly entries: number
  readonly operations: number
  readonly bodies: number
}

export interface RetentionState extends RetentionPolicy {
  readonly interval_seconds: number
  /** UTC, without a zone. */
  readonly next_run: string | null
  readonly last_run: {
    readonly operation_id: string
    readonly status: string | null
    readonly started_at: string | null
    readonly ended_at: string | null
    readonly error_info: string | null
    readonly removed: RemovedCounts | null
  } | null
}

/** What a clean-up has removed, or would remove. */
export interface RetentionRun {
  readonly removed: RemovedCounts
  readonly by_rule: readonly (RetentionRule & { readonly entries: number })[]
  readonly dry_run: boolean
}

export interface RetentionRunOptions extends WriteOptions {
  /** Only counts what would go. Default false. */
  readonly dryRun?: boolean | undefined
}

const path = '/v2/retention'

/** What is kept for how long. For admins. */
export class RetentionApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The rules, and when the last and the next clean-up are. */
  async get(options: CallOptions = {}): Promise<RetentionState> {
    checkCall('get', options)
    const answer = await this.#transport.json({ method: 'GET', path, call: options })
    return record('the rules', answer) as unknown as RetentionState
  }

  /** Replaces the rules. */
  async set(policy: RetentionPolicy, options: CallOptions = {}): Promise<RetentionState> {
    checkCall('set', options)
    return (await this.#put(policy, false, options)) as unknown as RetentionState
  }

  /** Counts what would go under these rules; nothing is changed. */
  async preview(policy: RetentionPolicy, options: CallOptions = {}): Promise<RetentionRun> {
    checkCall('preview', options)
    return (await this.#put(policy, true, options)) as unknown as RetentionRun
  }

  /** Cleans up now. */
  async run(options: RetentionRunOptions = {}): Promise<RetentionRun> {
    checkWrite('run', options, 'dryRun')
    checkFlag('dryRun', options.dryRun)
    const body = JSON.stringify({ dry_run: options.dryRun ?? false })
    const answer = await this.#transport.json({ method: 'POST', path: `${path}/run`, body, call: options })
    return record('the run', answer) as unknown as RetentionRun
  }

  async #put(
    policy: RetentionPolicy,
    dryRun: boolean,
    call: CallOptions,
  ): Promise<Readonly<Record<string, unknown>>> {
    if (!isRecord(policy)) throw new TypeError('policy must be an object')
    const { rules, operations_days } = policy as RetentionPolicy
    const body = JSON.stringify({ rules, operations_days, ...(dryRun ? { dry_run: true } : {}) })
    return record('the answer', await this.#transport.json({ method: 'PUT', path, body, call }))
  }
}
