import { record } from './answers.ts'
import { type CallOptions, checkCall } from './arguments.ts'
import { LogsApiError } from './errors.ts'
import type { Transport } from './transport.ts'

/** How the service is. */
export class HealthApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Whether the service answers. */
  async live(options: CallOptions = {}): Promise<boolean> {
    checkCall('live', options)
    return this.#is('/livez', options)
  }

  /** Whether the service can read and write its store. */
  async ready(options: CallOptions = {}): Promise<boolean> {
    checkCall('ready', options)
    return this.#is('/readyz', options)
  }

  /** The service's description, OpenAPI 3.1. */
  async description(options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    checkCall('description', options)
    return record(
      'the description',
      await this.#transport.json({ method: 'GET', path: '/openapi.json', call: options }),
    )
  }

  /** Asked once: who asks wants to know how it is now. */
  async #is(path: string, call: CallOptions): Promise<boolean> {
    try {
      const { body } = await this.#transport.open({ method: 'GET', path, call, once: true })
      await body.dump()
      return true
    } catch (error) {
      if (error instanceof LogsApiError && (error.retryable || error.status !== undefined)) return false
      throw error
    }
  }
}
