import type { Grant } from './access-control-list.ts'
import { checkGrants, parseJson, parseXml, predefined, printJson, printXml } from './access-control-list.ts'
import { object } from './annotations.ts'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { maximumAclSize } from './choices.ts'
import { hasConditions } from './conditions.ts'
import { acceptsGzip, compressed, gunzipped, isGzip } from './content-coding.ts'
import type { Permission } from './namespace.ts'
import { uncached } from './object-headers.ts'
import { Refusal } from './refusal.ts'
import { limited } from './request-body.ts'
import { updateOf } from './shared-metadata.ts'

/** PUT of an object's access control list: the one before is replaced as a whole. */
export async function putAcl(exchange: Exchange): Promise<Answer> {
  const { headers, system, body, tenant, permissions } = exchange
  needOne(exchange, 'writeAcl', ...(system.choices.writeStoresAcl ? (['write'] as const) : []))
  checkEnabled(exchange)
  const format = formatOf(headers['content-type'], 415)
  const gzip = isGzip(exchange)
  object(exchange)
  const chunks: Buffer[] = []
  for await (const chunk of limited(gzip ? gunzipped(body) : body, maximumAclSize)) chunks.push(chunk)
  const text = Buffer.concat(chunks)
    .toString()
    .replace(/^\uFEFF/, '')
  const grants = format === 'json' ? parseJson(text) : parseXml(text)
  checkGrants(grants, tenant, permissions)
  await replace(exchange, grants)
  return { status: 201, headers: [] }
}

export async function deleteAcl(exchange: Exchange): Promise<Answer> {
  const { headers, namespace, target } = exchange
  if (hasConditions(headers)) throw new Refusal(400, 'DELETE takes no conditional headers.')
  needOne(exchange, 'writeAcl', 'delete')
  checkEnabled(exchange)
  const { acl } = object(exchange)
  if (namespace.writing.has(target.path)) throw new Refusal(409, 'The object is being written.')
  if (acl !== undefined) await replace(exchange, undefined)
  return { status: 200, headers: [] }
}

/** GET and HEAD of a list; the `Content-Type` of the request says in which format. */
export function readAcl(exchange: Exchange): Answer {
  const { method, headers: sent, system } = exchange
  if (method === 'HEAD') needOne(exchange, 'readAcl', 'read')
  else {
    need(exchange, 'readAcl')
    checkEnabled(exchange)
  }
  const format = formatOf(sent['content-type'], 406)
  const gzip = method === 'GET' && acceptsGzip(sent['accept-encoding'], system.choices)
  const { acl } = object(exchange)
  if (method === 'GET' && acl === undefined && system.choices.missingAcl === 204) throw new Refusal(204)
  const body = Buffer.from(format === 'json' ? printJson(acl ?? []) : printXml(acl ?? []))
  const headers = [
    ...uncached,
    'Content-Type',
    `application/${format}`,
    ...(gzip ? ['Content-Encoding', 'gzip', 'X-HCP-ContentLength'] : ['Content-Length']),
    String(method === 'HEAD' && acl === undefined ? 0 : body.length),
    'X-HCP-ACL',
    String(acl !== undefined),
  ]
  if (method === 'HEAD') return { status: 200, headers }
  return { status: 200, headers, body: gzip ? compressed(body) : body }
}

/** The list that a PUT of an object asks for with `acl`. */
export function predefinedAcl(exchange: Exchange): readonly Grant[] | undefined {
  const name = exchange.target.query.get('acl')
  if (name === undefined) return undefined
  checkEnabled(exchange)
  const grants = predefined.get(name)
  if (grants === undefined) throw new Refusal(400, 'The query parameter acl has an invalid value.')
  checkGrants(grants, exchange.tenant, exchange.permissions)
  return grants
}

/** A list is that of all versions. */
async function replace(exchange: Exchange, acl: readonly Grant[] | undefined): Promise<void> {
  const { namespace, target, system } = exchange
  // The object may have been changed or deleted meanwhile.
  const before = object(exchange)
  const version = { ...before, change: system.now(), acl }
  await system.commit(namespace, updateOf(namespace, target.path, before, version))
}

function checkEnabled({ namespace }: Exchange): void {
  if (namespace.settings.aclUsage === 'NOT_ENABLED')
    throw new Refusal(400, 'Access control lists are not enabled for this namespace.')
}

function needOne(exchange: Exchange, ...permissions: readonly Permission[]): void {
  if (!permissions.some((permission) => exchange.permissions.has(permission)))
    throw new Refusal(403, `The permission ${permissions.join(' or ')} is missing.`)
}

function formatOf(header: string | undefined, refusal: 406 | 415): 'xml' | 'json' {
  const type = header?.split(';')[0]!.trim().toLowerCase()
  if (type === undefined || type === '' || type === 'application/xml') return 'xml'
  if (type === 'application/json') return 'json'
  throw new Refusal(refusal, 'An access control list is application/xml or application/json.')
}
