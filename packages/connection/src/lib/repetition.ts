import type { Plan } from './request-plan.ts'

/** These PUTs replace the whole of what they name: twice is as good as once. */
const replacesWhole = /[?&]type=(?:custom-metadata|acl)(?:&|$)/

/** Statuses of which HCP's manual says to try again (Using a Namespace, "HTTP return codes"), and those of proxies before it. */
export const isPassing = (status: number): boolean =>
  status === 503 || status === 500 || status === 429 || status === 502 || status === 504 || status === 408

/** Answers after which HCP has done nothing with the request. */
export const isBusy = (status: number): boolean => status === 503 || status === 429

/** After a PUT whose answer was lost: somebody has the name, and that may be the PUT itself. */
export const isConflict = (status: number): boolean => status === 409 || status === 412

/** A PUT that makes an object, a version or a directory: done twice it could make two. Copies cannot be looked at like that. */
export const mustSettle = ({ path, query, headers, options }: Plan): boolean =>
  options.idempotent === undefined &&
  path.startsWith('/rest/') &&
  !replacesWhole.test(query) &&
  headers['x-hcp-copysource'] === undefined

/**
 * May this request be sent again after it was, or may have been, carried out? PUTs of objects may, once they are settled.
 *
 * @param status Of the answer; `undefined` if there was none.
 */
export function mayRepeat(plan: Plan, status: number | undefined): boolean {
  const { call, options, query } = plan
  if (options.idempotent !== undefined) return options.idempotent
  switch (call.method) {
    case 'GET':
    case 'HEAD':
    case 'DELETE':
    case 'OPTIONS':
      return true
    case 'PUT':
      return (status !== undefined && isBusy(status)) || mustSettle(plan) || replacesWhole.test(query)
    default:
      return false
  }
}
