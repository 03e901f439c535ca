import type { IncomingHttpHeaders } from 'node:http'
import type { Answer } from '../answer.ts'
import type { Account } from '../authentication.ts'
import { maximumPathLength } from '../choices.ts'
import { Refusal } from '../refusal.ts'
import type { RequestBody } from '../request-body.ts'
import { decodeText, hostOf, parseQuery } from '../request-target.ts'
import type { System } from '../system.ts'
import type { Tenant } from '../tenant.ts'
import { documentTypes, negotiated, readDocument, writeDocument } from './documents.ts'
import { isTrue } from './fields.ts'
import type { MapiAnswer, MapiExchange, Operation, Resource, ResourceMethod } from './resource.ts'
import { resources } from './resources.ts'
import { wadl } from './wadl.ts'

/** What the router needs of a request. */
export interface MapiRequest {
  readonly system: System
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: RequestBody
  readonly hasBody: boolean
  /** Is told who asks, for the log. */
  known(user: string): void
}

/** Who asks, and where. */
interface Caller {
  readonly account: Account
  readonly level: 'system' | 'tenant'
  readonly bySystem: boolean
  /** The tenant of the host, if it is one of a tenant. */
  readonly home: Tenant | undefined
}

interface Route {
  readonly resource: Resource
  readonly steps: readonly string[]
  readonly methods: readonly ResourceMethod[]
}

const routes: readonly Route[] = resources.map((resource) => {
  const { GET, HEAD, POST, PUT, DELETE } = resource.operations
  const methods: ResourceMethod[] = []
  if (HEAD ?? GET) methods.push('HEAD')
  if (POST) methods.push('POST')
  if (GET) methods.push('GET')
  if (PUT) methods.push('PUT')
  if (DELETE) methods.push('DELETE')
  return { resource, steps: resource.path.split('/').slice(1), methods }
})

/** Answers a request of the management API. */
export async function manage(request: MapiRequest): Promise<Answer> {
  const { method, system, headers } = request
  try {
    return await answered(request)
  } catch (error) {
    // What a HEAD does not find, or may not see, is looked for on the page for logging in.
    const hidden = error instanceof Refusal && (error.status === 404 || error.status === 403)
    if (method !== 'HEAD' || !hidden || error instanceof BadCredentials) throw error
    const host = (headers.host ?? `admin.${system.domain}`).replace(/:\d*$/, '')
    throw new Refusal(302, '', ['Location', `https://${host}:8000/`])
  }
}

/** What stays a 403 for a HEAD too. */
class BadCredentials extends Refusal {}

async function answered(request: MapiRequest): Promise<Answer> {
  const { system, method, url, headers, body, hasBody } = request
  const caller = callerOf(request)
  request.known(caller.account.user)
  const mark = url.indexOf('?')
  const path = (mark === -1 ? url : url.slice(0, mark)).replace(/^https?:\/\/[^/]*/i, '')
  const query = new Map(
    [...(mark === -1 ? [] : parseQuery(url.slice(mark + 1)))].map(([name, value]) => [
      name,
      decodeText(value),
    ]),
  )
  const { route, variables } = routed(path)
  if (method === 'OPTIONS') return options(route)
  const { operations } = route.resource
  const operation = Object.hasOwn(operations, method)
    ? operations[method as ResourceMethod]
    : method === 'HEAD'
      ? operations.GET
      : undefined
  if (operation === undefined) throw new Refusal(405, '', ['Allow', allowOf(route)])

  const tenant = tenantOf(caller, system, variables)
  const byTenant = !caller.bySystem || tenant?.administrationAllowed === true
  checkRoles(operation, caller, byTenant)
  const exchange: MapiExchange = {
    method,
    system,
    level: caller.level,
    account: caller.account,
    roles: caller.account.roles,
    bySystem: caller.bySystem,
    byTenant,
    variables,
    query,
    verbose: isTrue(query.get('verbose')),
    headers,
    body,
    hasBody,
    document: (...roots) => readDocument(headers, body, hasBody, roots),
  }
  return finished(exchange, await operation.handle(exchange))
}

function callerOf({ system, url, headers }: MapiRequest): Caller {
  const place = system.managed(hostOf(url, headers.host))
  if (place === undefined) throw new BadCredentials(403, 'There is no such tenant.')
  const { tenant } = place
  if (tenant !== undefined && !tenant.mapiEnabled)
    throw new BadCredentials(403, 'The management API is not enabled for the tenant.')
  const text = tokenOf(headers)
  if (text === undefined) throw new BadCredentials(403, 'Credentials are missing.')
  const own = system.managers(tenant).caller({ authorization: text })
  if (typeof own !== 'string') {
    return { account: own, level: tenant ? 'tenant' : 'system', bySystem: tenant === undefined, home: tenant }
  }
  if (tenant?.administrationAllowed) {
    const account = system.managers(undefined).caller({ authorization: text })
    if (typeof account !== 'string') return { account, level: 'tenant', bySystem: true, home: tenant }
  }
  throw new BadCredentials(403, 'The credentials are wrong.')
}

/** The header, which some documents print without its first word, or the cookie of the older form. */
function tokenOf({ authorization, cookie = '' }: IncomingHttpHeaders): string | undefined {
  if (authorization !== undefined) return authorization.includes(' ') ? authorization : `HCP ${authorization}`
  const found = /(?:^|;)\s*hcp-api-auth=([^;]*)/.exec(cookie)
  return found === null ? undefined : `HCP ${found[1]!.trim().replaceAll('"', '')}`
}

function routed(path: string): { route: Route; variables: Record<string, string> } {
  if (path !== '/mapi' && !path.startsWith('/mapi/')) throw new Refusal(404)
  const below = path.slice('/mapi'.length)
  if (Buffer.byteLength(below) > maximumPathLength)
    throw new Refusal(414, `The URL is longer than ${maximumPathLength} bytes.`)
  const parts = below.split('/').slice(1)
  if (parts.at(-1) === '') parts.pop()
  const decoded = parts.map((part) => decodeText(part, 'plus'))
  for (const route of routes) {
    const variables = matched(route.steps, decoded)
    if (variables !== undefined) return { route, variables }
  }
  throw new Refusal(404, 'There is no such resource.')
}

function matched(steps: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (steps.length !== parts.length) return undefined
  const variables: Record<string, string> = {}
  for (const [index, step] of steps.entries()) {
    const part = parts[index]!
    if (step.startsWith(':')) {
      if (part === '') return undefined
      variables[step.slice(1)] = part
    } else if (step !== part && !(step === lenient && part.toLowerCase() === lenient)) return undefined
  }
  return variables
}

/** The one keyword that the documents print in two ways. */
const lenient = 'supportaccesscredentials'

/** The tenant that the path is about. On its own host a tenant sees no others, and they are not there. */
function tenantOf(
  { home, bySystem }: Caller,
  system: System,
  { tenant: name }: Readonly<Record<string, string>>,
): Tenant | undefined {
  if (name === undefined) return undefined
  const tenant = system.tenants.get(name.toLowerCase())
  if (home !== undefined && tenant !== home) {
    throw new Refusal(403, 'This needs an account of that tenant, or one of the system level.')
  }
  if (tenant === undefined) throw new Refusal(404, bySystem ? 'There is no such tenant.' : '')
  return tenant
}

function checkRoles({ allowed, namespaceManagement }: Operation, caller: Caller, byTenant: boolean): void {
  const { account, bySystem, level } = caller
  const roles = [
    ...(bySystem && level === 'system' ? (allowed.system ?? []) : []),
    ...(bySystem && level === 'tenant' && allowed.tenant !== undefined ? (allowed.system ?? []) : []),
    ...(byTenant ? (allowed.tenant ?? []) : []),
  ]
  if (roles.some((role) => account.roles.has(role))) return
  if (namespaceManagement && !bySystem && account.allowNamespaceManagement) return
  const needed = [
    [allowed.system, 'a system-level account'],
    [allowed.tenant, 'a tenant-level account'],
  ] as const
  const ways = needed.flatMap(([list, whose]) => {
    if (list === undefined) return []
    const plural = list.length > 1 ? 'one of the roles' : 'the role'
    return [`${plural} ${list.join(', ')} of ${whose}`]
  })
  throw new Refusal(403, `This needs ${ways.join(', or ')}.`)
}

function allowOf({ methods }: Route): string {
  return ['OPTIONS', ...methods].join(',')
}

function options(route: Route): Answer {
  const body = Buffer.from(wadl(route.resource.path, route.methods))
  return {
    status: 200,
    headers: [
      'Allow',
      allowOf(route),
      'Content-Type',
      'application/vnd.sun.wadl+xml',
      'Content-Length',
      String(body.length),
    ],
    body,
  }
}

function finished(exchange: MapiExchange, answer: MapiAnswer): Answer {
  const { query, headers: asked, method } = exchange
  const { status = 200, headers = [], document, content } = answer
  if (document === undefined && content === undefined)
    return { status, headers: [...headers, 'Content-Length', '0'] }
  const { type, body } =
    content ??
    writeDocument(
      negotiated(asked, documentTypes),
      document!.root,
      document!.value,
      query.has('prettyprint'),
      query.get('callback'),
    )
  const length = Buffer.isBuffer(body) ? ['Content-Length', String(body.length)] : []
  const head = [...headers, 'Content-Type', type, ...length]
  if (method !== 'HEAD') return { status, headers: head, body }
  if (!Buffer.isBuffer(body)) body.destroy()
  return { status, headers: head }
}
