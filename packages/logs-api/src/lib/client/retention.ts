import { record } from './answers.ts'
import { type CallOptions, checkCall, checkFlag, checkWrite, type WriteOptions } from './arguments.ts'
import { isRecord } from './refusal.ts'
import type { Transport } from './transport.ts'

export interface RetentionRunOptions extends WriteOptions {
  /** Only counts what would be removed. Default false. */
  readonly dryRun?: boolean | undefined
}

/** How long what is kept. For admins. Documents are as the service's description has them. */
export class RetentionApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The rules, and when the next clean-up is. */
  async get(options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    checkCall('get', options)
    const path = '/v2/retention'
    return record('the rules', await this.#transport.json({ method: 'GET', path, call: options }))
  }

  /** Replaces the rules. */
  async set(
    rules: Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    checkCall('set', options)
    if (!isRecord(rules)) throw new TypeError('rules must be an object')
    const body = JSON.stringify(rules)
    const path = '/v2/retention'
    return record('the rules', await this.#transport.json({ method: 'PUT', path, body, call: options }))
  }

  /** Cleans up now, and tells the counts. */
  async run(options: RetentionRunOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    checkWrite('run', options, 'dryRun')
    checkFlag('dryRun', options.dryRun)
    const body = JSON.stringify({ dry_run: options.dryRun ?? false })
    const path = '/v2/retention/run'
    return record('the run', await this.#transport.json({ method: 'POST', path, body, call: options }))
  }
}
