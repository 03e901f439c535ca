import type { Caller } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { parseTime } from '../time.ts'
import { type Operation, type OperationField, operationFields, type OperationSort } from './operation.ts'

/** What a list of API B is asked for. */
export interface ListParameters {
  readonly limit: number
  /** Id of the log behind which the page begins. */
  readonly marker: string | undefined
  readonly offset: number
  readonly sort: readonly OperationSort[]
  readonly allProjects: boolean
  readonly filters: Partial<Operation>
}

const times = ['started_at', 'ended_at'] as const
const sortable: ReadonlySet<string> = new Set(operationFields)
const everybodysFilters: ReadonlySet<string> = new Set(['checkpoint_id', 'plan_id', 'restore_id', 'status'])
/** What is shown. */
const adminsFilters: ReadonlySet<string> = new Set(
  operationFields.filter((field) => field !== 'created_at' && field !== 'updated_at'),
)
const paging: ReadonlySet<string> = new Set([
  'limit',
  'marker',
  'offset',
  'sort',
  'sort_key',
  'sort_dir',
  'all_tenants',
])

const mostOffset = 2_147_483_647

/** @throws {Refusal} 400 */
export function readListParameters(
  parameters: URLSearchParams,
  caller: Caller,
  maxPage: number,
): ListParameters {
  // Of several the last counts, as in the original.
  const given = new Map(parameters)
  const admin = caller.roles.has('admin')
  const filters: Partial<Record<string, string | number>> = {}
  for (const [name, value] of given) {
    if (paging.has(name)) continue
    if (admin && !adminsFilters.has(name)) {
      throw new Refusal(400, `Invalid input received: ${name} is no field to filter by.`)
    }
    if (admin || everybodysFilters.has(name)) filters[name] = filterValue(name, value)
  }
  return {
    limit: readLimit(given.get('limit'), maxPage),
    marker: given.get('marker'),
    offset: readOffset(given.get('offset')),
    sort: readSort(given),
    allProjects: admin && readAllTenants(given.get('all_tenants')),
    filters,
  }
}

function filterValue(name: string, value: string): string | number {
  if (!(times as readonly string[]).includes(name)) return value
  const parsed = parseTime(value)
  if (parsed !== undefined) return parsed.time
  throw new Refusal(400, `Invalid input received: ${name} must be a time such as 2026-03-04T10:11:12.000345.`)
}

function readLimit(value: string | undefined, maxPage: number): number {
  if (value === undefined) return maxPage
  const limit = readInteger(value)
  if (limit === undefined) throw new Refusal(400, 'limit param must be an integer')
  if (limit <= 0) throw new Refusal(400, 'limit param must be positive')
  return Math.min(limit, maxPage)
}

function readOffset(value: string | undefined): number {
  if (value === undefined) return 0
  const offset = readInteger(value)
  if (offset === undefined) throw new Refusal(400, 'offset must be an integer.')
  if (offset < 0) throw new Refusal(400, 'offset must be >= 0')
  if (offset > mostOffset) throw new Refusal(400, `offset must be <= ${mostOffset}`)
  return offset
}

const readInteger = (value: string): number | undefined =>
  /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : undefined

function readAllTenants(value: string | undefined): boolean {
  if (value === undefined) return false
  const word = value.toLowerCase()
  if (['true', 'yes', 'y', '1'].includes(word)) return true
  if (['false', 'no', 'n', '0'].includes(word)) return false
  throw new Refusal(400, `Value ${value} for all_tenants is not a boolean.`)
}

function readSort(given: ReadonlyMap<string, string>): OperationSort[] {
  const sort = given.get('sort')
  const key = given.get('sort_key')
  const direction = given.get('sort_dir')
  if (sort === undefined) return [sortPart(key ?? 'created_at', direction ?? 'desc')]
  if (key !== undefined || direction !== undefined) {
    throw new Refusal(
      400,
      "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
    )
  }
  return sort.split(',').map((part) => {
    const colon = part.indexOf(':')
    if (colon === -1) return sortPart(part, 'desc')
    return sortPart(part.slice(0, colon), part.slice(colon + 1) || 'desc')
  })
}

function sortPart(key: string, way: string): OperationSort {
  const field = key.trim()
  const direction = way.trim()
  if (direction !== 'asc' && direction !== 'desc') {
    throw new Refusal(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
  }
  if (!sortable.has(field)) {
    const known = [...sortable].join(', ')
    throw new Refusal(400, `Invalid input received: ${JSON.stringify(field)} is no sort key. Use ${known}.`)
  }
  return { field: field as OperationField, direction }
}
