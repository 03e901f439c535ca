import type { HcpResponse } from '@hcp/connection'
import { checkOptions, checkString } from '@hcp/connection/support'
import { sendHinted } from './hinted.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { protocolError } from './protocol-error.ts'

export type AclPermission = 'READ' | 'READ_ACL' | 'WRITE' | 'WRITE_ACL' | 'DELETE'

/** Who is granted something: a user or group of the tenant or, with its `domain`, of Active Directory. */
export interface Grantee {
  readonly type: 'user' | 'group'
  readonly name: string
  readonly domain?: string
}

/** One entry of an access control list. */
export interface Grant {
  readonly grantee: Grantee
  readonly permissions: readonly AclPermission[]
}

/** Everybody, with or without an account. */
export const allUsers: Grantee = Object.freeze({ type: 'group', name: 'all_users' })
/** Everybody with an account. */
export const authenticated: Grantee = Object.freeze({ type: 'group', name: 'authenticated' })

const knownAcl = known()
const json = { 'Content-Type': 'application/json' }
const params = { type: 'acl' }
const aclPermissions: readonly string[] = [
  'READ',
  'READ_ACL',
  'WRITE',
  'WRITE_ACL',
  'DELETE',
] satisfies AclPermission[]
const mostGrants = 1_000
/** Characters are bytes here; a list as long as HCP takes has a tenth of it. */
const longest = 4 * 1024 * 1024

const hints = {
  400: 'the namespace must have ACLs enabled, every grantee must exist, and nobody can grant more than they may themselves',
  403: 'the user may not change ACLs',
  409: 'the object is being written, or HCP is busy with ACLs; try again later',
}

/**
 * The access control list of an object, the same for all its versions; empty if it has none.
 *
 * @throws {ObjectNotFoundError} if there is no such object. @throws {HcpProtocolError} if the answer is no such list.
 * @see Using a Namespace, "Retrieving an ACL"
 */
export async function getAcl(
  requests: ObjectRequests,
  path: string,
  options: CallOptions = {},
): Promise<readonly Grant[]> {
  checkOptions('acl', options, knownAcl)
  const response = await requests.send('GET', path, options, { params, headers: json })
  const text = await textOf(response)
  if (text.trim() === '') return []
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw protocolError(response, 'is no JSON', cause)
  }
  if (!isRecord(document)) throw protocolError(response, 'is no access control list')
  return listOf(document['grant']).map((grant) => grantOf(grant, response))
}

async function textOf(response: HcpResponse): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > longest) throw protocolError(response, `is longer than any access control list`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Made from XML, a list of one is not always a list. */
const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null || value === '' ? [] : [value]

function grantOf(grant: unknown, response: HcpResponse): Grant {
  const { grantee, permissions } = isRecord(grant) ? grant : {}
  const { type, name, domain } = isRecord(grantee) ? grantee : {}
  if ((type !== 'user' && type !== 'group') || typeof name !== 'string')
    throw protocolError(response, 'has a grant without a user or group')
  const given = listOf(isRecord(permissions) ? permissions['permission'] : undefined).map((permission) => {
    if (isPermission(permission)) return permission
    throw protocolError(response, `has a permission that is not known: ${JSON.stringify(permission)}`)
  })
  const inDomain = typeof domain === 'string' && domain !== '' ? { domain } : {}
  return { grantee: { type, name, ...inDomain }, permissions: given }
}

const isPermission = (value: unknown): value is AclPermission =>
  typeof value === 'string' && aclPermissions.includes(value)

/**
 * Stores an access control list, or replaces the one that is there, as a whole. HCP heeds it where the namespace is set up to.
 *
 * @param grants 1 to 1,000, each grantee once, each with at least one permission.
 * @throws {TypeError | RangeError} for grants that are none, before anything is sent.
 * @throws {ObjectNotFoundError} if there is no such object. @throws {HcpResponseError} 400 where the namespace has no ACLs, for a
 *   grantee that does not exist, and for more than the user may do.
 * @see Using a Namespace, "Storing an ACL"
 */
export async function putAcl(
  requests: ObjectRequests,
  path: string,
  grants: readonly Grant[],
  options: CallOptions = {},
): Promise<void> {
  checkOptions('putAcl', options, knownAcl)
  checkGrants(grants)
  const grant = grants.map(({ grantee: { type, name, domain }, permissions }) => ({
    grantee: { type, name, ...(domain === undefined ? {} : { domain }) },
    permissions: { permission: permissions },
  }))
  const parts = { params, headers: json, body: JSON.stringify({ grant }) }
  await sendHinted(requests, 'PUT', path, options, parts, hints)
}

/** Whether an object has an access control list. @throws {ObjectNotFoundError} if there is no such object. */
export async function hasAcl(
  requests: ObjectRequests,
  path: string,
  options: CallOptions = {},
): Promise<boolean> {
  checkOptions('hasAcl', options, knownAcl)
  const response = await requests.send('HEAD', path, options, { params })
  return response.header('x-hcp-acl') === 'true'
}

/**
 * Deletes the access control list of an object, if it has one: HCP does not tell.
 *
 * @throws {ObjectNotFoundError} if there is no such object.
 * @see Using a Namespace, "Deleting an ACL"
 */
export async function deleteAcl(
  requests: ObjectRequests,
  path: string,
  options: CallOptions = {},
): Promise<void> {
  checkOptions('deleteAcl', options, knownAcl)
  await sendHinted(requests, 'DELETE', path, options, { params }, { 403: hints[403], 409: hints[409] })
}

function checkGrants(grants: unknown): void {
  if (!Array.isArray(grants)) throw new TypeError(`grants must be an array, not ${typeof grants}`)
  if (grants.length === 0 || grants.length > mostGrants) {
    throw new RangeError(
      `grants must be 1 to ${mostGrants}, not ${grants.length}; deleteAcl removes the whole list`,
    )
  }
  const seen = new Set<string>()
  for (const grant of grants as unknown[]) {
    if (!isRecord(grant)) throw new TypeError(`a grant must be an object, not ${typeof grant}`)
    checkOptions('grant', grant, new Set(['grantee', 'permissions']))
    const grantee = checkGrantee(grant['grantee'])
    if (seen.has(grantee))
      throw new RangeError(`grants: ${grantee} is there twice; give all permissions in one grant`)
    seen.add(grantee)
    checkPermissions(grantee, grant['permissions'])
  }
}

/** @returns What to call the grantee by. */
function checkGrantee(grantee: unknown): string {
  if (!isRecord(grantee)) throw new TypeError(`grantee must be an object, not ${typeof grantee}`)
  checkOptions('grantee', grantee, new Set(['type', 'name', 'domain']))
  const { type, domain } = grantee
  if (type !== 'user' && type !== 'group')
    throw new RangeError(`grantee.type must be "user" or "group", not ${String(type)}`)
  const name = checkString('grantee.name', grantee['name'])
  return domain === undefined
    ? `${type} ${name}`
    : `${type} ${name} of ${checkString('grantee.domain', domain).toLowerCase()}`
}

function checkPermissions(grantee: string, permissions: unknown): void {
  if (!Array.isArray(permissions))
    throw new TypeError(`permissions of ${grantee} must be an array, not ${typeof permissions}`)
  if (permissions.length === 0) throw new RangeError(`permissions of ${grantee} must not be empty`)
  const wrong: unknown = permissions.find((permission) => !isPermission(permission))
  if (wrong !== undefined || permissions.includes(undefined))
    throw new RangeError(
      `permissions of ${grantee}: ${String(wrong)} is none of ${aclPermissions.join(', ')}`,
    )
  if (new Set(permissions).size < permissions.length)
    throw new RangeError(`permissions of ${grantee}: one is there twice`)
}
