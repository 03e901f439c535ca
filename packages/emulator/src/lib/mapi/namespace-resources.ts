import { randomUUID } from 'node:crypto'
import type { CheckedNamespace, NamespaceConfig } from '../config.ts'
import { validateConfig } from '../config.ts'
import type { Documents, Namespace } from '../namespace.ts'
import { isEmpty, permissionNames } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { Tenant } from '../tenant.ts'
import { tagsOf } from './account-resources.ts'
import type { Fields } from './fields.ts'
import {
  boolean,
  choice,
  matching,
  need,
  quotaBytes,
  quotaText,
  readFields,
  scalar,
  text,
  textOf,
} from './fields.ts'
import {
  changedNamespace,
  changedVersioning,
  checkFeatures,
  namespaceDocument,
  namespaceFields,
  namespaceProperties,
  versioningDocument,
  versioningFields,
} from './namespace-properties.ts'
import { paged } from './paging.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Operation, Resource } from './resource.ts'
import {
  changeNamespace,
  changeTenant,
  hasTenantRole,
  namespaceOf,
  picked,
  tenantChanges,
  tenantOf,
  tenantReads,
} from './surroundings.ts'
import { allocatedBytes, tenantProperties } from './tenant-resources.ts'

/** Settings of a namespace of which nothing was said. Its doors are closed, as HCP has it. */
function fresh(https: boolean): CheckedNamespace {
  const settings: NamespaceConfig = {
    name: 'x',
    searchEnabled: false,
    http: false,
    https,
    authenticationRequired: true,
    readFromReplica: false,
  }
  return validateConfig({ tenants: [{ name: 'x', namespaces: [settings] }] }).tenants[0]!.namespaces[0]!
}

/** Only with a right to look after own namespaces, and no role that lets it see them all. */
function onlyOwn(exchange: MapiExchange): boolean {
  const roles = ['MONITOR', 'ADMINISTRATOR', 'COMPLIANCE']
  return !roles.some((role) => hasTenantRole(exchange, role))
}

function isOwner({ account }: MapiExchange, { documents }: Namespace): boolean {
  return textOf(documents['namespace']?.['owner'] ?? '').toLowerCase() === account.user.toLowerCase()
}

/** The namespace of the path; those of others are out of reach for who has only own ones. */
function reachable(exchange: MapiExchange): Namespace {
  const namespace = namespaceOf(exchange)
  if (onlyOwn(exchange) && !isOwner(exchange, namespace))
    throw new Refusal(
      403,
      'Without the role ADMINISTRATOR of a tenant-level account only own namespaces are in reach.',
    )
  return namespace
}

function listNamespaces(exchange: MapiExchange): MapiAnswer {
  const own = onlyOwn(exchange)
  const entries = [...tenantOf(exchange).namespaces.values()]
    .filter((namespace) => !own || isOwner(exchange, namespace))
    .map((namespace) => {
      const { name, quotaBytes: bytes } = namespace.settings
      return { name, sort: { name, hardQuota: bytes }, filter: { name: [name], tag: tagsOf(namespace) } }
    })
  const names = paged(exchange.query, entries, ['name', 'hardQuota'], ['name', 'tag'])
  return { document: { root: 'namespaces', value: { name: names.map(({ name }) => name) } } }
}

/** What a tenant wants its namespaces to be unless it is said. */
const usualDefaults: DocumentFields = {
  description: '',
  enterpriseMode: true,
  hardQuota: '50.00 GB',
  softQuota: 85,
  hashScheme: 'SHA-256',
  optimizedFor: 'CLOUD',
  directoryUsage: 'Unbalanced',
  searchEnabled: false,
  replicationEnabled: false,
  servicePlan: 'Default',
  allowErasureCoding: false,
  multipartUploadAutoAbortDays: 30,
  retentionType: 'HCP',
  s3UnversionedOverwrite: false,
  versioningSettings: { enabled: false },
  dpl: 'Dynamic',
  effectiveDpl: 'Dynamic',
}

const { keepDeletionRecords: _, ...defaultVersioning } = versioningFields

const defaultFields: Fields = {
  ...picked2(namespaceFields, Object.keys(usualDefaults)),
  optimizedFor: choice('CLOUD', 'ALL', 'DEFAULT'),
  directoryUsage: choice('Balanced', 'Unbalanced', 'Default'),
  versioningSettings: (raw, name) => {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
      throw new Refusal(400, `The value of the property '${name}' is invalid.`)
    return readFields(raw as Readonly<Record<string, unknown>>, defaultVersioning)
  },
}

function picked2(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)))
}

function defaultsOf(tenant: Tenant): DocumentFields {
  return { ...usualDefaults, ...tenant.documents['namespaceDefaults'] }
}

async function create(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('namespace'), namespaceFields)
  need(given, 'name')
  const { system, account } = exchange
  const tenant = tenantOf(exchange)
  const name = textOf(given['name'])
  if (tenant.namespaces.has(name.toLowerCase()))
    throw new Refusal(409, `There is a namespace ${name} already.`)
  const features = tenantProperties(tenant)
  const limit = features['namespaceQuota']
  if (typeof limit === 'number' && tenant.namespaces.size >= limit)
    throw new Refusal(403, `The tenant may have no more than ${limit} namespaces.`)
  const own = onlyOwn(exchange)
  const owner = own ? account.user : given['owner']
  if (own) checkOwnCount(exchange, tenant)
  checkOwner(tenant, given)

  const { versioningSettings: usualVersioning, dpl: __, effectiveDpl: ___, ...others } = defaultsOf(tenant)
  const usual: Record<string, DocumentFields[string]> = { ...others }
  if (usual['optimizedFor'] === 'DEFAULT') delete usual['optimizedFor']
  if (usual['directoryUsage'] === 'Default') delete usual['directoryUsage']
  // What the tenant may not configure is not a default of its namespaces either.
  for (const [property, feature] of [
    ['searchEnabled', 'searchConfigurationEnabled'],
    ['replicationEnabled', 'replicationConfigurationEnabled'],
    ['allowErasureCoding', 'erasureCodingSelectionEnabled'],
    ['servicePlan', 'servicePlanSelectionEnabled'],
  ] as const) {
    if (features[feature] !== true) delete usual[property]
  }
  const start: { settings: CheckedNamespace; documents: Documents } = {
    settings: fresh(system.choices.newNamespaceHttps),
    documents: {},
  }
  const { versioningSettings, ...properties } = given
  let made = changedNamespace(tenant, start, {
    ...usual,
    ...properties,
    ...(owner === undefined || owner === '' ? {} : { owner }),
  })
  const versioning = (versioningSettings ?? usualVersioning) as DocumentFields
  if (versioning['enabled'] !== undefined)
    made = changedVersioning(tenant, made, versioning, versioningSettings !== undefined)
  const room = quotaBytes(textOf(features['hardQuota'])) - allocatedBytes(tenant)
  if (made.settings.quotaBytes > room)
    throw new Refusal(403, "The hardQuota is more than what is left of the tenant's.")
  const id = randomUUID()
  await system.configure(
    { set: 'namespace', tenant: tenant.id, id, value: { id, created: system.now(), ...made } },
    // Who makes a namespace as its owner may use it.
    ...(own
      ? [
          {
            set: 'account' as const,
            tenant: tenant.id,
            id: account.state.id,
            value: { ...account.state, grants: { ...account.state.grants, [id]: permissionNames } },
          },
        ]
      : []),
  )
  return {}
}

function checkOwnCount(exchange: MapiExchange, tenant: Tenant): void {
  const most = Number(tenantProperties(tenant)['maxNamespacesPerUser'])
  const count = [...tenant.namespaces.values()].filter((namespace) => isOwner(exchange, namespace)).length
  if (count >= most) throw new Refusal(403, `A user may own no more than ${most} namespaces.`)
}

function checkOwner(tenant: Tenant, { owner, ownerType = 'LOCAL' }: DocumentFields): void {
  if (owner === undefined || owner === '' || ownerType === 'EXTERNAL') return
  if (tenant.account(textOf(owner)) === undefined)
    throw new Refusal(400, `The owner ${textOf(owner)} is no user account of the tenant.`)
}

async function change(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('namespace'), namespaceFields)
  const tenant = tenantOf(exchange)
  const namespace = namespaceOf(exchange)
  const { settings } = namespace
  const checkpoint = exchange.query.get('resetMQECheckpoint')
  if (checkpoint !== undefined && checkpoint !== '0' && !/^\d{2}\/\d{2}\/\d{4}$/.test(checkpoint))
    throw new Refusal(400, "The value of the parameter 'resetMQECheckpoint' is invalid.")
  for (const name of ['hashScheme', 'versioningSettings']) {
    if (given[name] !== undefined)
      throw new Refusal(403, `The property '${name}' is set when a namespace is created only.`)
  }
  if (given['enterpriseMode'] === true && settings.retentionMode === 'compliance')
    throw new Refusal(403, 'A namespace in compliance mode stays in it.')
  if (given['enterpriseMode'] === false && settings.retentionMode === 'compliance')
    delete given['enterpriseMode']
  if (given['aclsUsage'] === 'NOT_ENABLED' && settings.aclUsage !== 'NOT_ENABLED')
    throw new Refusal(403, 'Access control lists that are enabled stay so.')
  checkOwner(tenant, { ownerType: namespaceProperties(namespace)['ownerType'], ...given })
  const name = textOf(given['name'] ?? settings.name)
  if (name.toLowerCase() !== settings.name.toLowerCase()) checkRename(tenant, namespace, name)
  const { settings: changed, documents: newDocuments } = changedNamespace(tenant, namespace, given)
  // What came from here and goes back loses nothing to the two decimals.
  const sameQuota = given['hardQuota'] === quotaText(settings.quotaBytes)
  const after = sameQuota ? { ...changed, quotaBytes: settings.quotaBytes } : changed
  const growth = after.quotaBytes - settings.quotaBytes
  if (
    growth > 0 &&
    growth > quotaBytes(textOf(tenantProperties(tenant)['hardQuota'])) - allocatedBytes(tenant)
  )
    throw new Refusal(403, "The hardQuota is more than what is left of the tenant's.")
  await changeNamespace(exchange, tenant, namespace, after, newDocuments)
  return {}
}

function checkRename(tenant: Tenant, { documents }: Namespace, name: string): void {
  if (tenant.namespaces.has(name.toLowerCase()))
    throw new Refusal(409, `There is a namespace ${name} already.`)
  const busy =
    documents['http']?.['hs3Enabled'] === true ||
    documents['cifs']?.['enabled'] === true ||
    documents['nfs']?.['enabled'] === true
  if (busy) throw new Refusal(403, 'A namespace with S3, CIFS or NFS enabled cannot be renamed.')
}

async function remove(exchange: MapiExchange): Promise<MapiAnswer> {
  const namespace = reachable(exchange)
  if (namespace.objectCount > 0 || !isEmpty(namespace.root) || namespace.writing.size > 0)
    throw new Refusal(403, 'The namespace is not empty.')
  const { id } = namespace
  await exchange.system.configure({ set: 'namespace', tenant: tenantOf(exchange).id, id, value: null })
  return {}
}

const offset =
  '([+-]\\d{1,4}y)?([+-]\\d{1,4}M)?([+-]\\d{1,4}w)?([+-]\\d{1,4}d)?([+-]\\d{1,4}h)?([+-]\\d{1,4}m)?([+-]\\d{1,4}s)?'
const date = '\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}[+-]\\d{2}:?\\d{2}'
const words: Readonly<Record<string, string>> = {
  'deletion allowed': '0',
  'deletion prohibited': '-1',
  'initial unspecified': '-2',
}

/** A retention setting; the special ones by number or by name, kept as numbers. */
function retention(classes: boolean): Fields[string] {
  const pattern = new RegExp(
    `^(-0|-1|-2|\\d{1,12}|(?!$)[RAN]?${offset}|${date}${classes ? '|[cC]\\+[A-Za-z0-9_-]{1,64}' : ''})$`,
  )
  const form = matching(pattern, 'a retention setting')
  return (raw, name) => {
    const value = scalar(raw, name)
    return words[value.toLowerCase()] ?? form(value, name)
  }
}

const complianceFields: Fields = {
  retentionDefault: retention(true),
  minimumRetentionAfterInitialUnspecified: matching(
    new RegExp(`^(0|[AN]?${offset.replaceAll('[+-]', '\\+?')})$`),
    'an offset such as 19y+0M+7d',
  ),
  shreddingDefault: boolean,
  customMetadataChanges: choice('ADD', 'ALL', 'NONE'),
  dispositionEnabled: boolean,
}

function complianceDocument({ settings }: Namespace): DocumentFields {
  const minimum = settings.minimumRetentionAfterInitialUnspecified
  return {
    retentionDefault: settings.defaultRetention,
    ...(minimum === null
      ? {}
      : { minimumRetentionAfterInitialUnspecified: minimum.replace(/^[AN]?\+?/, '') }),
    shreddingDefault: settings.defaultShred,
    customMetadataChanges: settings.annotationsUnderRetention,
    dispositionEnabled: settings.dispositionEnabled,
  }
}

async function changeCompliance(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('complianceSettings'), complianceFields)
  const namespace = namespaceOf(exchange)
  const { settings } = namespace
  const {
    retentionDefault = settings.defaultRetention,
    minimumRetentionAfterInitialUnspecified: minimum,
    shreddingDefault = settings.defaultShred,
    customMetadataChanges = settings.annotationsUnderRetention,
    dispositionEnabled = settings.dispositionEnabled,
  } = given
  const named = /^C\+(.*)$/i.exec(textOf(retentionDefault))?.[1]
  if (named !== undefined && !settings.retentionClasses.some((each) => same(each.name, named)))
    throw new Refusal(400, `There is no retention class ${named}.`)
  await changeNamespace(exchange, tenantOf(exchange), namespace, {
    defaultRetention: textOf(retentionDefault),
    minimumRetentionAfterInitialUnspecified:
      minimum === undefined ? settings.minimumRetentionAfterInitialUnspecified : minimumOf(textOf(minimum)),
    defaultShred: shreddingDefault === true,
    annotationsUnderRetention: customMetadataChanges as CheckedNamespace['annotationsUnderRetention'],
    dispositionEnabled: dispositionEnabled === true,
  })
  return {}
}

/** The offset is written without what it starts with elsewhere. */
function minimumOf(text: string): string | null {
  const bare = text.replace(/^[AN]?\+?/, '')
  return bare === '' || bare === '0' ? null : `A+${bare}`
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

const classFields: Fields = {
  name: matching(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, hyphens and underscores'),
  value: retention(false),
  description: text(),
  allowDisposition: boolean,
}

type RetentionClass = CheckedNamespace['retentionClasses'][number]

function classOf(exchange: MapiExchange): RetentionClass {
  const wanted = exchange.variables['class']!
  const found = namespaceOf(exchange).settings.retentionClasses.find(({ name }) => same(name, wanted))
  if (found === undefined) throw new Refusal(404, 'There is no such retention class.')
  return found
}

function classDocument({ name, value, description, autoDelete }: RetentionClass): DocumentFields {
  return { name, value, description, allowDisposition: autoDelete }
}

function checkDisposition(given: DocumentFields): void {
  if (given['value'] !== undefined && /^[RAN+]/.test(textOf(given['value']))) need(given, 'allowDisposition')
}

async function createClass(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('retentionClass'), classFields)
  need(given, 'name', 'value')
  checkDisposition(given)
  const namespace = namespaceOf(exchange)
  const { retentionClasses } = namespace.settings
  const name = textOf(given['name'])
  if (retentionClasses.some((each) => same(each.name, name)))
    throw new Refusal(409, `There is a retention class ${name} already.`)
  const made: RetentionClass = {
    name,
    value: textOf(given['value']),
    autoDelete: given['allowDisposition'] === true,
    description: textOf(given['description'] ?? ''),
  }
  await setClasses(exchange, [...retentionClasses, made])
  return {}
}

function setClasses(exchange: MapiExchange, retentionClasses: readonly RetentionClass[]): Promise<void> {
  return changeNamespace(exchange, tenantOf(exchange), namespaceOf(exchange), { retentionClasses })
}

async function changeClass(exchange: MapiExchange): Promise<MapiAnswer> {
  const { name: ____, ...changeable } = classFields
  const given = readFields(await exchange.document('retentionClass'), changeable)
  const before = classOf(exchange)
  const {
    value = before.value,
    description = before.description,
    allowDisposition = before.autoDelete,
  } = given
  const after: RetentionClass = {
    name: before.name,
    value: textOf(value),
    description: textOf(description),
    autoDelete: allowDisposition === true,
  }
  const { retentionClasses } = namespaceOf(exchange).settings
  await setClasses(
    exchange,
    retentionClasses.map((each) => (each === before ? after : each)),
  )
  return {}
}

async function removeClass(exchange: MapiExchange): Promise<MapiAnswer> {
  const before = classOf(exchange)
  const { retentionClasses, retentionMode, defaultRetention } = namespaceOf(exchange).settings
  if (retentionMode === 'compliance')
    throw new Refusal(403, 'In compliance mode a retention class cannot be deleted.')
  if (same(defaultRetention, `C+${before.name}`))
    throw new Refusal(403, 'The retention class is the default of the namespace.')
  await setClasses(
    exchange,
    retentionClasses.filter((each) => each !== before),
  )
  return {}
}

async function changeVersioning(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('versioningSettings'), versioningFields)
  const tenant = tenantOf(exchange)
  const namespace = reachable(exchange)
  const { settings, documents } = changedVersioning(tenant, namespace, given, false)
  await changeNamespace(exchange, tenant, namespace, settings, documents)
  return {}
}

const complianceReads: Operation['allowed'] = { tenant: ['MONITOR', 'ADMINISTRATOR', 'COMPLIANCE'] }
const complianceChanges: Operation['allowed'] = { tenant: ['COMPLIANCE'] }

export const namespaceResources: readonly Resource[] = [
  {
    path: '/tenants/:tenant/namespaces',
    operations: {
      GET: { allowed: complianceReads, namespaceManagement: true, handle: listNamespaces },
      PUT: { allowed: tenantChanges, namespaceManagement: true, handle: create },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace',
    operations: {
      GET: {
        allowed: tenantReads,
        namespaceManagement: true,
        handle: (exchange) => {
          const own = onlyOwn(exchange)
          const value = namespaceDocument(exchange, tenantOf(exchange), reachable(exchange))
          return {
            document: {
              root: 'namespace',
              value: own ? picked(value, ['name', 'owner', 'ownerType']) : value,
            },
          }
        },
      },
      POST: { allowed: tenantChanges, handle: change },
      DELETE: { allowed: tenantChanges, namespaceManagement: true, handle: remove },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/complianceSettings',
    operations: {
      GET: {
        allowed: complianceReads,
        handle: (exchange) => ({
          document: { root: 'complianceSettings', value: complianceDocument(namespaceOf(exchange)) },
        }),
      },
      POST: { allowed: complianceChanges, handle: changeCompliance },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/versioningSettings',
    operations: {
      GET: {
        allowed: tenantReads,
        namespaceManagement: true,
        handle: (exchange) => ({
          document: { root: 'versioningSettings', value: versioningDocument(reachable(exchange)) },
        }),
      },
      POST: { allowed: tenantChanges, namespaceManagement: true, handle: changeVersioning },
      DELETE: {
        allowed: tenantChanges,
        namespaceManagement: true,
        handle: async (exchange) => {
          await changeNamespace(
            exchange,
            tenantOf(exchange),
            reachable(exchange),
            { versioning: false, pruneDays: null },
            { versioning: undefined },
          )
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/retentionClasses',
    operations: {
      GET: {
        allowed: complianceReads,
        handle: (exchange) => {
          const names = namespaceOf(exchange).settings.retentionClasses.map(({ name }) => name)
          return { document: { root: 'retentionClasses', value: { name: names } } }
        },
      },
      PUT: { allowed: complianceChanges, handle: createClass },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/retentionClasses/:class',
    operations: {
      GET: {
        allowed: complianceReads,
        handle: (exchange) => ({
          document: { root: 'retentionClass', value: classDocument(classOf(exchange)) },
        }),
      },
      POST: { allowed: complianceChanges, handle: changeClass },
      DELETE: { allowed: complianceChanges, handle: removeClass },
    },
  },
  {
    path: '/tenants/:tenant/namespaceDefaults',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => {
          const tenant = tenantOf(exchange)
          const shown = { ...defaultsOf(tenant) }
          const features = tenantProperties(tenant)
          if (features['searchConfigurationEnabled'] !== true) delete shown['searchEnabled']
          if (features['replicationConfigurationEnabled'] !== true) delete shown['replicationEnabled']
          if (features['servicePlanSelectionEnabled'] !== true) delete shown['servicePlan']
          if (features['erasureCodingSelectionEnabled'] !== true) delete shown['allowErasureCoding']
          if (features['versioningConfigurationEnabled'] !== true) delete shown['versioningSettings']
          // It cannot be set: what was read without it may be sent back.
          if (!exchange.verbose) delete shown['effectiveDpl']
          return { document: { root: 'namespaceDefaults', value: shown } }
        },
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const given = readFields(await exchange.document('namespaceDefaults'), defaultFields)
          const tenant = tenantOf(exchange)
          checkFeatures(tenant, given)
          const before = tenant.documents['namespaceDefaults']
          await changeTenant(exchange, tenant, { namespaceDefaults: { ...before, ...given } })
          return {}
        },
      },
    },
  },
]
