import type { Answer, Exchange } from './answer.ts'
import { onlyParameters } from './answer.ts'
import { permissionsOf } from './authentication.ts'
import type { Namespace, Permission } from './namespace.ts'
import { permissionNames } from './namespace.ts'
import { uncached } from './object-headers.ts'
import { Refusal } from './refusal.ts'
import { booleanParameter } from './request-target.ts'
import { runServices } from './services.ts'
import { escaped } from './xml-text.ts'

const listParameters: ReadonlySet<string> = new Set(['single'])
const noParameters: ReadonlySet<string> = new Set()

/** The documents under `/proc`. */
export async function readInformation(exchange: Exchange): Promise<Answer> {
  const { method, target, permissions, namespace, caller, system } = exchange
  if (method !== 'GET' && method !== 'HEAD') throw new Refusal(405)
  const document = Object.hasOwn(documents, target.path) ? documents[target.path] : undefined
  if (document === undefined) throw new Refusal(404)
  onlyParameters(exchange, target.path === '' ? listParameters : noParameters)
  if (permissions.size === 0 && caller === 'anonymous') throw new Refusal(403, 'Credentials are missing.')
  if (permissions.size === 0 && target.path !== '') throw new Refusal(401)
  // What is due does not count any more.
  if (target.path === 'statistics') await runServices(system, namespace)
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${document(exchange, namespace)}\n`)
  const headers = [...uncached, 'Content-Type', 'text/xml', 'Content-Length', String(body.length)]
  return method === 'HEAD' ? { status: 200, headers } : { status: 200, headers, body }
}

const documents: Readonly<Record<string, (exchange: Exchange, namespace: Namespace) => string>> = {
  '': namespaces,
  retentionClasses,
  permissions,
  statistics,
}

function start(root: string, schema: string): string {
  return (
    `<?xml-stylesheet type="text/xsl" href="/static/xsl/${schema}.xsl"?>\n` +
    `<${root} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"\n` +
    `    xsi:noNamespaceSchemaLocation="/static/xsd/${schema}.xsd"\n    `
  )
}

function attributes(values: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${typeof value === 'string' ? escaped(value) : value}"`)
    .join(' ')
}

function description(text: string): string {
  return `<description><![CDATA[\n      ${text.replaceAll(']]>', ']]]]><![CDATA[>')}\n    ]]></description>`
}

function namespaces({ tenant, namespace, caller, target, request, system }: Exchange): string {
  const single = booleanParameter(target.query, 'single') ?? false
  const list = [...tenant.namespaces.values()].filter(
    (each) => (!single || each === namespace) && permissionsOf(caller, each).size > 0,
  )
  const entries = list.map(({ settings }) => {
    const values = attributes({
      name: settings.name,
      nameIDNA: settings.name,
      versioningEnabled: settings.versioning,
      searchEnabled: settings.searchEnabled,
      retentionMode: settings.retentionMode,
      defaultShredValue: settings.defaultShred,
      defaultIndexValue: settings.defaultIndex,
      defaultRetentionValue: settings.defaultRetention,
      hashScheme: settings.hashScheme,
      dpl: settings.dpl,
    })
    return `\n  <namespace ${values}>\n    ${description(settings.description)}\n  </namespace>`
  })
  const scheme = 'encrypted' in request.socket ? 'https' : 'http'
  const host = attributes({ tenantHostName: `${tenant.name}.${system.domain}`, httpScheme: scheme })
  return `${start('namespaces', 'proc-namespaces')}${host}>${entries.join('')}\n</namespaces>`
}

function retentionClasses(_: Exchange, { settings }: Namespace): string {
  const entries = settings.retentionClasses.map(({ name, value, autoDelete, description: text }) => {
    const values = { name, value, autoDelete }
    return `\n  <retentionClass ${attributes(values)}>\n    ${description(text)}\n  </retentionClass>`
  })
  const name = attributes({ namespaceName: settings.name })
  return `${start('retentionClasses', 'proc-retention-classes')}${name}>${entries.join('')}\n</retentionClasses>`
}

function permissions(exchange: Exchange, { settings }: Namespace): string {
  const all = new Set<Permission>(permissionNames)
  const line = (name: string, granted: ReadonlySet<Permission>): string =>
    `\n  <${name} ${attributes(Object.fromEntries(permissionNames.map((each) => [each, granted.has(each)])))}/>`
  return (
    `${start('permissions', 'proc-permissions')}${attributes({ namespaceName: settings.name })}>` +
    line('namespacePermissions', all) +
    line('namespaceEffectivePermissions', all) +
    line('userPermissions', exchange.permissions) +
    line('userEffectivePermissions', exchange.permissions) +
    '\n</permissions>'
  )
}

function statistics(_: Exchange, namespace: Namespace): string {
  const values = attributes({
    namespaceName: namespace.settings.name,
    totalCapacityBytes: namespace.settings.quotaBytes,
    usedCapacityBytes: namespace.usedBytes,
    softQuotaPercent: namespace.settings.softQuotaPercent,
    objectCount: namespace.objectCount,
    shredObjectCount: 0,
    shredObjectBytes: 0,
    customMetadataObjectCount: namespace.customMetadataObjectCount,
    customMetadataObjectBytes: namespace.customMetadataObjectBytes,
  })
  return `${start('statistics', 'proc-statistics')}${values}/>`
}
