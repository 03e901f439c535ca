import { XMLParser } from 'fast-xml-parser'
import type { Caller } from './authentication.ts'
import { permissionsOf } from './authentication.ts'
import { maximumGrants } from './choices.ts'
import type { Namespace, Permission } from './namespace.ts'
import { Refusal } from './refusal.ts'
import type { Tenant } from './tenant.ts'
import { escaped } from './xml-text.ts'

/** What an object's access control list gives to one grantee. */
export interface Grant {
  readonly type: 'user' | 'group'
  readonly name: string
  readonly permissions: readonly AclPermission[]
}

const aclPermissions = ['READ', 'READ_ACL', 'WRITE', 'WRITE_ACL', 'DELETE'] as const
export type AclPermission = (typeof aclPermissions)[number]

const meaning: Readonly<Record<AclPermission, readonly Permission[]>> = {
  READ: ['read', 'browse'],
  READ_ACL: ['readAcl'],
  WRITE: ['write'],
  WRITE_ACL: ['writeAcl'],
  DELETE: ['delete'],
}

/** Groups without a directory service. */
const everybody = 'all_users'
const accounts = 'authenticated'

/** Lists that a PUT can ask for by a name. */
export const predefined: ReadonlyMap<string, readonly Grant[]> = new Map([
  ['all_read', [{ type: 'group', name: everybody, permissions: ['READ'] }]],
  ['auth_read', [{ type: 'group', name: accounts, permissions: ['READ'] }]],
])

/** What a caller may do with an object: the namespace's permissions, and what its list adds where that is enforced. */
export function permissionsOn(caller: Caller, namespace: Namespace, path: string): ReadonlySet<Permission> {
  const own = permissionsOf(caller, namespace)
  if (namespace.settings.aclUsage !== 'ENFORCED' || caller === 'refused') return own
  const granted = (namespace.current(path)?.acl ?? [])
    .filter(({ type, name }) => {
      if (type === 'user') return caller !== 'anonymous' && caller.user === name
      return name === everybody || caller !== 'anonymous'
    })
    .flatMap(({ permissions }) => namespace.masked(permissions.flatMap((permission) => meaning[permission])))
  return granted.length === 0 ? own : new Set([...own, ...granted])
}

/** Refuses a list that names somebody unknown, somebody twice, or that gives more than its sender has. */
export function checkGrants(
  grants: readonly Grant[],
  tenant: Tenant,
  permissions: ReadonlySet<Permission>,
): void {
  if (grants.length > maximumGrants)
    throw new Refusal(400, `An access control list has no more than ${maximumGrants} grants.`)
  const seen = new Set<string>()
  for (const { type, name, permissions: granted } of grants) {
    const known = type === 'user' ? tenant.accounts.has(name) : name === everybody || name === accounts
    if (!known) throw new Refusal(400, `The ${type} ${name} of a grant is unknown.`)
    const key = `${type} ${name}`
    if (seen.has(key)) throw new Refusal(400, `The ${key} has two grants.`)
    seen.add(key)
    for (const permission of granted) {
      if (meaning[permission].every((each) => permissions.has(each))) continue
      throw new Refusal(400, `A grant gives ${permission}, which its sender does not have.`)
    }
  }
}

const parser: XMLParser = new XMLParser({
  parseTagValue: false,
  isArray: (name) => name === 'grant' || name === 'permission',
  maxNestedTags: 10,
  processEntities: { enabled: true, maxEntityCount: 1, maxExpansionDepth: 1, maxExpandedLength: 10_000 },
})

/** Reads a list in XML; 400 for what is none. */
export function parseXml(text: string): Grant[] {
  if (/<!DOCTYPE/i.test(text)) throw new Refusal(400, 'A DOCTYPE is not allowed.')
  let document: unknown
  try {
    document = parser.parse(text, true)
  } catch {
    throw new Refusal(400, 'The access control list is not well-formed.')
  }
  const { '?xml': _, ...roots } = document as Record<string, unknown>
  return grantsOf(fieldsOf(roots, ['accessControlList'])['accessControlList'])
}

/** Reads a list in JSON; 400 for what is none. */
export function parseJson(text: string): Grant[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Refusal(400, 'The access control list is not JSON.')
  }
  return grantsOf(value)
}

function grantsOf(value: unknown): Grant[] {
  return listOf(fieldsOf(value, ['grant'])['grant']).map((grant) => {
    const { grantee, permissions } = fieldsOf(grant, ['grantee', 'permissions'])
    const { type, name, domain } = fieldsOf(grantee, ['type', 'name'], ['domain'])
    if (type !== 'user' && type !== 'group')
      throw new Refusal(400, 'The type of a grantee must be user or group.')
    if (typeof name !== 'string' || name === '') throw new Refusal(400, 'A grantee has no name.')
    if (domain !== undefined && domain !== '')
      throw new Refusal(400, 'The namespace has no Active Directory.')
    const listed = listOf(fieldsOf(permissions, ['permission'])['permission'])
    const unknown = listed.find((each) => !aclPermissions.some((known) => known === each))
    if (unknown !== undefined) throw new Refusal(400, 'A permission of a grant is unknown.')
    return { type, name, permissions: aclPermissions.filter((known) => listed.includes(known)) }
  })
}

/** The fields of an entry: all that it needs, and none that nobody knows. */
function fieldsOf<Name extends string>(
  value: unknown,
  needed: readonly Name[],
  others: readonly Name[] | readonly string[] = [],
): Readonly<Record<string, unknown>> {
  const invalid = new Refusal(
    400,
    `The access control list has an invalid entry beside ${needed.join(', ')}.`,
  )
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid
  const names = Object.keys(value)
  if (names.some((name) => !([...needed, ...others] as string[]).includes(name))) throw invalid
  if (needed.some((name) => !names.includes(name))) throw invalid
  return value as Record<string, unknown>
}

/** One entry may stand for a list of one. */
function listOf(value: unknown): readonly unknown[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new Refusal(400, 'The access control list has an empty entry.')
  return list
}

export function printXml(grants: readonly Grant[]): string {
  const entries = grants.map(
    ({ type, name, permissions }) => `  <grant>
    <grantee>
      <type>${type}</type>
      <name>${escaped(name)}</name>
    </grantee>
    <permissions>
${permissions.map((permission) => `      <permission>${permission}</permission>\n`).join('')}    </permissions>
  </grant>\n`,
  )
  const start = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
  return `${start}<accessControlList>\n${entries.join('')}</accessControlList>\n`
}

export function printJson(grants: readonly Grant[]): string {
  return JSON.stringify({
    grant: grants.map(({ type, name, permissions }) => ({
      grantee: { type, name },
      permissions: { permission: permissions },
    })),
  })
}
