import type { Exchange } from './answer.ts'
import { maximumFormSize } from './choices.ts'
import { Refusal } from './refusal.ts'
import type { Query } from './request-target.ts'
import { parseQuery } from './request-target.ts'

/** The form body of a POST or DELETE. */
export async function readForm({ headers, body }: Exchange): Promise<Query> {
  const bytes = await body.buffer(maximumFormSize)
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (bytes.length === 0) return new Map()
  if (type !== undefined && type !== 'application/x-www-form-urlencoded') {
    throw new Refusal(400, 'The body must be application/x-www-form-urlencoded.')
  }
  return parseQuery(bytes.toString('latin1').trim())
}
