import { Refusal } from '../refusal.ts'
import { lengthOf } from './fields.ts'

/** One entry of a list of names: the texts by which it can be sorted, and those that a filter may begin. */
export interface Listed {
  readonly name: string
  readonly sort: Readonly<Record<string, string | number>>
  readonly filter: Readonly<Record<string, readonly string[]>>
}

const maximumFilter = 64

/** The part of a list that the query asks for, by `offset`, `count`, `sortType`, `sortOrder` and the filter. */
export function paged<Entry extends Listed>(
  query: ReadonlyMap<string, string>,
  entries: readonly Entry[],
  sorts: readonly [string, ...string[]],
  filters: readonly [string, ...string[]],
): Entry[] {
  const sort = oneOf(query, 'sortType', sorts)
  const order = oneOf(query, 'sortOrder', ['ascending', 'descending'])
  const filter = oneOf(query, 'filterType', filters)
  const offset = whole(query, 'offset') ?? 0
  const count = whole(query, 'count') ?? Infinity
  const wanted = query.get('filterString') ?? ''
  if (lengthOf(wanted) > maximumFilter || wanted.includes(','))
    throw new Refusal(400, `The value of the parameter 'filterString' is invalid.`)
  const start = wanted.toLowerCase()
  const found = entries.filter(
    (each) =>
      start === '' || (each.filter[filter] ?? []).some((text) => text.toLowerCase().startsWith(start)),
  )
  const sign = order === 'ascending' ? 1 : -1
  found.sort((one, other) => {
    const [left, right] = [one.sort[sort]!, other.sort[sort]!]
    const difference =
      typeof left === 'number' && typeof right === 'number'
        ? left - right
        : compare(String(left).toLowerCase(), String(right).toLowerCase())
    return sign * (difference || compare(one.name.toLowerCase(), other.name.toLowerCase()))
  })
  return found.slice(offset, offset + count)
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

function oneOf<Value extends string>(
  query: ReadonlyMap<string, string>,
  name: string,
  values: readonly [Value, ...Value[]],
): Value {
  const given = query.get(name)
  if (given === undefined || given === '') return values[0]
  const found = values.find((value) => value.toLowerCase() === given.toLowerCase())
  if (found === undefined) throw new Refusal(400, `The value of the parameter '${name}' is invalid.`)
  return found
}

function whole(query: ReadonlyMap<string, string>, name: string): number | undefined {
  const given = query.get(name)
  if (given === undefined || given === '') return undefined
  if (!/^\d{1,9}$/.test(given)) throw new Refusal(400, `The value of the parameter '${name}' is invalid.`)
  return Number(given)
}
