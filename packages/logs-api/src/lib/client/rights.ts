import { record } from './answers.ts'
import { type CallOptions, checkCall, checkNames, segment } from './arguments.ts'
import { LogsApiError } from './errors.ts'
import type { Transport } from './transport.ts'

/** Who may read and write the entries of a dataset: names of groups and users. */
export interface DatasetRights {
  readonly read_groups: readonly string[]
  readonly write_groups: readonly string[]
  readonly read_users: readonly string[]
  readonly write_users: readonly string[]
}

const names = ['read_groups', 'write_groups', 'read_users', 'write_users'] as const

/** Rights of datasets. For admins. */
export class RightsApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** @throws {LogsApiError} 404 if the dataset has none: then admins alone may use it. */
  async get(dataset: string, options: CallOptions = {}): Promise<DatasetRights> {
    checkCall('get', options)
    const path = rightsPath(dataset)
    const answer = await this.#transport.json({ method: 'GET', path, call: options })
    return record('the rights', answer) as unknown as DatasetRights
  }

  /** Replaces all of a dataset's rights. What is left out is nobody. */
  async set(dataset: string, rights: Partial<DatasetRights>, options: CallOptions = {}): Promise<void> {
    checkCall('set', options)
    checkNames('rights', rights, names)
    const whole = Object.fromEntries(names.map((name) => [name, rights[name] ?? []]))
    const path = rightsPath(dataset)
    await this.#transport.json({ method: 'PUT', path, body: JSON.stringify(whole), call: options })
  }

  /** Takes the rights of all but admins and the system away; does nothing if there are none. */
  async remove(dataset: string, options: CallOptions = {}): Promise<void> {
    checkCall('remove', options)
    try {
      await this.#transport.json({ method: 'DELETE', path: rightsPath(dataset), call: options })
    } catch (error) {
      if (!(error instanceof LogsApiError && error.status === 404)) throw error
    }
  }
}

const rightsPath = (dataset: string): string => `/v2/datasets/${segment('dataset', dataset)}/rights`
