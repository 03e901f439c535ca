import { list, part, record } from './answers.ts'
import {
  type CallOptions,
  checkCall,
  checkFlag,
  checkNames,
  checkNumber,
  checkOneOf,
  checkText,
  checkWrite,
  segment,
  type Time,
  timeText,
  type WriteOptions,
} from './arguments.ts'
import { LogsApiError } from './errors.ts'
import { type Paged, paged } from './paged.ts'
import { isRecord } from './refusal.ts'
import { nextOf } from './search.ts'
import type { Transport } from './transport.ts'

/** An operation log. Times are UTC, `2026-05-01T08:00:00.000000`, without a zone. */
export interface OperationLog {
  readonly id: string
  readonly project_id: string
  /** `failover`, `failback`, `log_export`, `retention_purge` and so on. */
  readonly operation_type: string
  readonly checkpoint_id: string | null
  /** UUID of the replication link. */
  readonly plan_id: string | null
  /** UUID of the HCP system. */
  readonly provider_id: string | null
  readonly restore_id: string | null
  /** Id of an export or job. */
  readonly scheduled_operation_id: string | null
  /** `in_progress`, then `success` or `fail`; `error` where the outcome could not be learned. */
  readonly status: string | null
  readonly started_at: string | null
  readonly ended_at: string | null
  readonly error_info: string | null
  /** JSON as text. */
  readonly extra_info: string | null
}

/** What is left out is null; `id` is made, `started_at` is now, and `project_id` that of the token, else `system`. */
export type NewOperationLog = { readonly operation_type: string } & {
  readonly [Field in keyof OperationLog]?: OperationLog[Field] | undefined
}

export type OperationLogChanges = {
  readonly [Field in keyof Omit<OperationLog, 'id' | 'project_id'>]?: OperationLog[Field] | undefined
}

/** Exact matches. Those with a project's token alone may use the first four. */
export interface OperationFilter {
  readonly checkpoint_id?: string | undefined
  readonly plan_id?: string | undefined
  readonly restore_id?: string | undefined
  readonly status?: string | undefined
  readonly operation_type?: string | undefined
  readonly provider_id?: string | undefined
  readonly scheduled_operation_id?: string | undefined
}

export interface OperationListOptions extends CallOptions {
  readonly filter?: OperationFilter | undefined
  /** `key:asc` or `key:desc`, commas between. Default `created_at:desc`. */
  readonly sort?: string | undefined
  /** Of all projects. For admins. Default false. */
  readonly allTenants?: boolean | undefined
  /** Operation logs of a page: 1 to 1,000. Default 1,000. */
  readonly limit?: number | undefined
  /** `id` of the last one seen: what follows it comes. */
  readonly marker?: string | undefined
}

export interface OperationSearchOptions extends CallOptions {
  /** Default: that of the token; for admins and the system all. */
  readonly project?: string | undefined
  readonly operationType?: string | undefined
  /** `null`: those without a status. */
  readonly status?: string | null | undefined
  readonly planId?: string | undefined
  readonly providerId?: string | undefined
  /** When it was made; inclusive. */
  readonly from?: Time | undefined
  /** When it was made; exclusive. */
  readonly to?: Time | undefined
  /** By when it was made. Default `desc`. */
  readonly order?: 'asc' | 'desc' | undefined
  /** Operation logs of a page: 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** Where an earlier page of the same search ended (`next`). */
  readonly cursor?: string | undefined
}

const searchNames = [
  'project',
  'operationType',
  'status',
  'planId',
  'providerId',
  'from',
  'to',
  'order',
  'limit',
  'cursor',
]
const filterNames = [
  'checkpoint_id',
  'plan_id',
  'restore_id',
  'status',
  'operation_type',
  'provider_id',
  'scheduled_operation_id',
]

/** Operation logs: who did what to the systems, and how it ended. */
export class OperationsApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Of a project, over all pages. */
  list(project: string, options: OperationListOptions = {}): Paged<OperationLog> {
    checkCall('list', options, 'filter', 'sort', 'allTenants', 'limit', 'marker')
    const { filter = {}, sort, allTenants, limit, marker } = options
    checkNames('filter', filter, filterNames)
    checkFlag('allTenants', allTenants)
    if (limit !== undefined) checkNumber('limit', limit, 1, 1_000)
    if (marker !== undefined) checkText('marker', marker)
    const path = `/v1/${segment('project', project)}/operation_logs`
    return paged(marker, async (from) => {
      const query = { ...filter, sort, all_tenants: allTenants, limit, marker: from }
      const answer = await this.#transport.json({ method: 'GET', path, query, call: options })
      return {
        items: list('operation_logs', part('the answer', answer, 'operation_logs')) as OperationLog[],
        next: markerOf(answer),
      }
    })
  }

  /** @throws {LogsApiError} 404 if the project has none of this id. */
  async get(project: string, id: string, options: CallOptions = {}): Promise<OperationLog> {
    checkCall('get', options)
    const path = `/v1/${segment('project', project)}/operation_logs/${segment('id', id)}`
    return operationOf(await this.#transport.json({ method: 'GET', path, call: options }))
  }

  /** Of all projects that the token may see, over all pages. */
  search(options: OperationSearchOptions = {}): Paged<OperationLog> {
    checkCall('search', options, ...searchNames)
    const { project, operationType, status, planId, providerId, from, to, order, limit, cursor } = options
    checkOneOf('order', order, ['asc', 'desc'])
    if (limit !== undefined) checkNumber('limit', limit, 1, 1_000)
    if (cursor !== undefined) checkText('cursor', cursor)
    const selection = {
      project_id: project,
      operation_type: operationType,
      ...(status === null ? { status_is: 'null' } : { status }),
      plan_id: planId,
      provider_id: providerId,
      from: timeText('from', from),
      to: timeText('to', to),
      order,
      limit,
    }
    return paged(cursor, async (at) => {
      const query = { ...selection, cursor: at }
      const answer = await this.#transport.json({
        method: 'GET',
        path: '/v2/operations',
        query,
        call: options,
      })
      return {
        items: list('operation_logs', part('the answer', answer, 'operation_logs')) as OperationLog[],
        next: nextOf(answer),
      }
    })
  }

  /** Writes one. For admins and the system. */
  async add(operation: NewOperationLog, options: WriteOptions = {}): Promise<OperationLog> {
    checkWrite('add', options)
    if (!isRecord(operation)) throw new TypeError('operation must be an object')
    checkText('operation_type', operation.operation_type)
    const body = JSON.stringify(operation)
    return operationOf(
      await this.#transport.json({ method: 'POST', path: '/v2/operations', body, call: options }),
    )
  }

  /** Changes what is given. For admins and the system. */
  async change(id: string, changes: OperationLogChanges, options: CallOptions = {}): Promise<OperationLog> {
    checkCall('change', options)
    if (!isRecord(changes)) throw new TypeError('changes must be an object')
    const path = `/v2/operations/${segment('id', id)}`
    const body = JSON.stringify(changes)
    return operationOf(await this.#transport.json({ method: 'PATCH', path, body, call: options }))
  }
}

const operationOf = (answer: unknown): OperationLog =>
  record('operation_log', part('the answer', answer, 'operation_log')) as unknown as OperationLog

/** Where the next page begins. Only the marker counts: nothing is ever sent to where a link leads. */
function markerOf(answer: unknown): string | undefined {
  const links = isRecord(answer) ? answer['operation_logs_links'] : undefined
  if (!Array.isArray(links)) return undefined
  const next: unknown = links.find((link: unknown) => isRecord(link) && link['rel'] === 'next')
  if (!isRecord(next) || typeof next['href'] !== 'string') return undefined
  const marker = new URL(next['href'], 'http://service').searchParams.get('marker')
  if (marker !== null && marker !== '') return marker
  throw new LogsApiError('LOGS_API_PROTOCOL', 'The link to the next page has no marker.', false, {
    sent: true,
  })
}
