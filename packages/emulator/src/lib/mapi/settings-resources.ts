import { XMLValidator } from 'fast-xml-parser'
import type { Namespace } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { Tenant } from '../tenant.ts'
import type { Fields } from './fields.ts'
import {
  boolean,
  choice,
  entriesOf,
  everybody,
  exactly,
  group,
  integer,
  ipSettings,
  list,
  matching,
  need,
  readFields,
  text,
  textOf,
} from './fields.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Operation, Resource } from './resource.ts'
import {
  bothChange,
  bothRead,
  changeNamespace,
  changeTenant,
  members,
  namespaceOf,
  picked,
  tenantChanges,
  tenantOf,
  tenantReads,
} from './surroundings.ts'
import { tenantProperties } from './tenant-resources.ts'

/** A document that is read as a whole and changed by its properties, with nothing behind it. */
interface Settings {
  /** Name under the tenant or namespace, root of the document, and where it is kept. */
  readonly name: string
  readonly root?: string
  readonly roots?: readonly string[]
  readonly fields: Fields
  readonly defaults: DocumentFields
  readonly read?: Operation['allowed']
  readonly change?: Operation['allowed']
  /** Refuses what does not go together. */
  readonly check?: (document: DocumentFields, given: DocumentFields) => DocumentFields
}

function ofTenant({ name, root = name, roots = [], fields, defaults, ...rest }: Settings): Resource {
  const { read = tenantReads, change = tenantChanges, check } = rest
  const present = (tenant: Tenant): DocumentFields => ({ ...defaults, ...tenant.documents[name] })
  return {
    path: `/tenants/:tenant/${name}`,
    operations: {
      GET: {
        allowed: read,
        handle: (exchange) => ({ document: { root, value: present(tenantOf(exchange)) } }),
      },
      POST: {
        allowed: change,
        handle: async (exchange) => {
          const given = readFields(await exchange.document(root, ...roots), fields)
          const tenant = tenantOf(exchange)
          const after = { ...present(tenant), ...given }
          await changeTenant(exchange, tenant, { [name]: check?.(after, given) ?? after })
          return {}
        },
      },
    },
  }
}

function ofNamespace(path: string, { name, root = name, fields, defaults, check }: Settings): Resource {
  const present = (namespace: Namespace): DocumentFields => ({ ...defaults, ...namespace.documents[name] })
  return {
    path: `/tenants/:tenant/namespaces/:namespace/${path}`,
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => ({ document: { root, value: present(namespaceOf(exchange)) } }),
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const given = readFields(await exchange.document(root), fields)
          const namespace = namespaceOf(exchange)
          const before = present(namespace)
          const after = { ...before, ...given }
          if (after['enabled'] === true && before['enabled'] !== true && namespace.settings.versioning)
            throw new Refusal(400, `Versioning and ${root} exclude each other.`)
          const value = check?.(after, given) ?? after
          await changeNamespace(exchange, tenantOf(exchange), namespace, {}, { [name]: value })
          return {}
        },
      },
    },
  }
}

/** Security of the tenant's console; one name is misspelt by HCP. */
const consoleFields: Fields = {
  ipSettings: ipSettings(),
  minimumPasswordLength: integer(2, 64),
  forcePasswordChangeDays: integer(0, 999_999),
  disableAfterAttempts: integer(0, 999),
  disableAfterInactiveDays: integer(0, 999),
  logoutOnInactive: integer(0, 999),
  loginMessage: text(),
  automaticUserAccountUnlockSetting: boolean,
  automaticUserAccoutUnlockDuration: integer(0, 999_999),
  blockCommonPassword: boolean,
  blockPasswordReUse: boolean,
  coolDownPeriodSettings: boolean,
  coolDownPeriodDuration: integer(0, 999_999),
  lowerCaseLetterCount: integer(0, 64),
  upperCaseLetterCount: integer(0, 64),
  numericCharacterCount: integer(0, 64),
  specialCharacterCount: integer(0, 64),
  passwordCombination: boolean,
  passwordContainsUsername: boolean,
  passwordReuseDepth: integer(0, 999),
}

const contactNames = [
  'firstName',
  'lastName',
  'emailAddress',
  'primaryPhone',
  'extension',
  'address1',
  'address2',
  'city',
  'state',
  'zipOrPostalCode',
  'countryOrRegion',
]

const emailFields: Fields = {
  enabled: boolean,
  emailTemplate: group({ from: text(256), subject: text(256), body: text(10_000) }),
  recipients: list(
    'recipient',
    group({
      address: text(4_096, 1),
      importance: choice('ALL', 'MAJOR'),
      severity: choice('NOTICE', 'WARNING', 'ERROR'),
      type: matching(
        /^(GENERAL|SECURITY|COMPLIANCE)(\s*,\s*(GENERAL|SECURITY|COMPLIANCE))*$/i,
        'of GENERAL, SECURITY, COMPLIANCE',
      ),
    }),
    25,
  ),
}

const security: Operation['allowed'] = { tenant: ['SECURITY'] }

const maskNames = ['DELETE', 'PRIVILEGED', 'PURGE', 'READ', 'SEARCH', 'WRITE']
const maskFields: Fields = { permission: list('permission', exactly(...maskNames)) }

/** The mask has no wrapper around its elements. */
async function changedMask(exchange: MapiExchange): Promise<DocumentFields> {
  const given = await exchange.document('permissions')
  readFields({ ...given, permission: undefined }, {})
  const { permission } = readFields({ permission: { permission: given['permission'] ?? [] } }, maskFields)
  const names = entriesOf(permission, 'permission')
  const all = new Set(names)
  if (all.has('PURGE')) all.add('DELETE')
  if (all.has('SEARCH')) all.add('READ')
  return { permission: maskNames.filter((name) => all.has(name)) }
}

const fullMask: DocumentFields = { permission: maskNames }

const notOfXml = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u

async function newCors(exchange: MapiExchange): Promise<DocumentFields> {
  const given = readFields(await exchange.document('cors'), { cors: text(65_536, 1) })
  need(given, 'cors')
  const configuration = textOf(given['cors'])
  if (notOfXml.test(configuration))
    throw new Refusal(400, "The value of the property 'cors' has characters that XML does not have.")
  if (XMLValidator.validate(configuration) !== true || !configuration.includes('CORSConfiguration'))
    throw new Refusal(400, "The value of the property 'cors' is no CORSConfiguration.")
  return given
}

function corsOf(documents: Tenant['documents']): MapiAnswer {
  const value = documents['cors']
  if (value === undefined) throw new Refusal(404, 'There is no CORS configuration.')
  return { document: { root: 'cors', value } }
}

const httpFields: Fields = {
  httpEnabled: boolean,
  httpsEnabled: boolean,
  restEnabled: boolean,
  restRequiresAuthentication: boolean,
  hs3Enabled: boolean,
  hs3RequiresAuthentication: boolean,
  hswiftEnabled: boolean,
  hswiftRequiresAuthentication: boolean,
  httpActiveDirectorySSOEnabled: boolean,
  webdavEnabled: boolean,
  webdavBasicAuthEnabled: boolean,
  webdavBasicAuthUsername: text(64),
  webdavBasicAuthPassword: text(64),
  webdavCustomMetadata: boolean,
  ipSettings: ipSettings(),
}

/** The protocol with something behind it: HTTP and HTTPS, and whether credentials are needed. */
function httpDocument({ settings, documents }: Namespace): DocumentFields {
  return {
    httpEnabled: settings.http,
    httpsEnabled: settings.https,
    restEnabled: true,
    restRequiresAuthentication: settings.authenticationRequired,
    hs3Enabled: false,
    hs3RequiresAuthentication: true,
    httpActiveDirectorySSOEnabled: true,
    webdavEnabled: false,
    webdavBasicAuthEnabled: false,
    webdavBasicAuthUsername: '',
    webdavBasicAuthPassword: '',
    webdavCustomMetadata: false,
    ipSettings: everybody,
    ...documents['http'],
  }
}

async function changeHttp(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('httpProtocol'), httpFields)
  const namespace = namespaceOf(exchange)
  const after: DocumentFields = { ...httpDocument(namespace), ...given }
  if (after['hs3Enabled'] === true && namespace.settings.aclUsage === 'NOT_ENABLED')
    throw new Refusal(400, "'hs3Enabled' needs access control lists.")
  if (given['webdavEnabled'] === true && namespace.settings.versioning)
    throw new Refusal(400, 'Versioning and the protocol WebDAV exclude each other.')
  const rest = after['restEnabled'] === true
  await changeNamespace(
    exchange,
    tenantOf(exchange),
    namespace,
    {
      http: rest && after['httpEnabled'] === true,
      https: rest && after['httpsEnabled'] === true,
      authenticationRequired: after['restRequiresAuthentication'] === true,
    },
    { http: after },
  )
  return {}
}

const namespaceSettings: readonly Resource[] = [
  {
    path: '/tenants/:tenant/namespaces/:namespace/protocols/http',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => ({
          document: { root: 'httpProtocol', value: httpDocument(namespaceOf(exchange)) },
        }),
      },
      POST: { allowed: tenantChanges, handle: changeHttp },
    },
  },
  ofNamespace('protocols/cifs', {
    name: 'cifs',
    root: 'cifsProtocol',
    fields: {
      enabled: boolean,
      caseForcing: choice('UPPER', 'LOWER', 'DISABLED'),
      caseSensitive: boolean,
      requiresAuthentication: boolean,
      ipSettings: ipSettings({ both: false }),
    },
    defaults: {
      enabled: false,
      caseForcing: 'DISABLED',
      caseSensitive: true,
      requiresAuthentication: true,
      ipSettings: { allowAddresses: { ipAddress: ['0.0.0.0/0', '::0/0'] }, denyAddresses: { ipAddress: [] } },
    },
  }),
  ofNamespace('protocols/nfs', {
    name: 'nfs',
    root: 'nfsProtocol',
    fields: {
      enabled: boolean,
      uid: integer(0, 4_294_967_295),
      gid: integer(0, 4_294_967_295),
      ipSettings: ipSettings({ deny: false, both: false }),
    },
    defaults: {
      enabled: false,
      uid: 0,
      gid: 0,
      ipSettings: { allowAddresses: { ipAddress: ['0.0.0.0/0', '::0/0'] } },
    },
  }),
  ofNamespace('protocols/smtp', {
    name: 'smtp',
    root: 'smtpProtocol',
    fields: {
      enabled: boolean,
      emailFormat: choice('.eml', '.mbox'),
      emailLocation: text(4_095, 1),
      separateAttachments: boolean,
      ipSettings: ipSettings({ both: false }),
    },
    defaults: {
      enabled: false,
      emailFormat: '.eml',
      emailLocation: '/email/',
      separateAttachments: false,
      ipSettings: { allowAddresses: { ipAddress: [] }, denyAddresses: { ipAddress: [] } },
    },
  }),
  ofNamespace('replicationCollisionSettings', {
    name: 'replicationCollisionSettings',
    fields: {
      action: choice('MOVE', 'RENAME'),
      deleteEnabled: boolean,
      deleteDays: integer(0, 36_500),
    },
    defaults: { action: 'MOVE', deleteEnabled: false },
    check: (after, given) => {
      if (after['deleteEnabled'] === true) {
        need(after, 'deleteDays')
        return after
      }
      if (given['deleteDays'] !== undefined)
        throw new Refusal(400, "'deleteDays' is for 'deleteEnabled' only.")
      return picked(after, ['action', 'deleteEnabled'])
    },
  }),
  ofNamespace('customMetadataIndexingSettings', {
    name: 'customMetadataIndexingSettings',
    fields: {
      contentClasses: list('contentClass', text(64, 1)),
      fullIndexingEnabled: boolean,
      excludedAnnotations: text(4_096),
    },
    defaults: { contentClasses: { contentClass: [] }, fullIndexingEnabled: false, excludedAnnotations: '' },
  }),
  {
    path: '/tenants/:tenant/namespaces/:namespace/permissions',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => ({
          document: {
            root: 'permissions',
            value: namespaceOf(exchange).documents['permissions'] ?? fullMask,
          },
        }),
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const permissions = await changedMask(exchange)
          await changeNamespace(exchange, tenantOf(exchange), namespaceOf(exchange), {}, { permissions })
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/cors',
    operations: {
      GET: { allowed: bothRead, handle: (exchange) => corsOf(namespaceOf(exchange).documents) },
      PUT: {
        allowed: bothChange,
        handle: async (exchange) => {
          const cors = await newCors(exchange)
          await changeNamespace(exchange, tenantOf(exchange), namespaceOf(exchange), {}, { cors })
          return {}
        },
      },
      DELETE: {
        allowed: bothChange,
        handle: async (exchange) => {
          corsOf(namespaceOf(exchange).documents)
          await changeNamespace(exchange, tenantOf(exchange), namespaceOf(exchange), {}, { cors: undefined })
          return {}
        },
      },
    },
  },
]

const tenantSettings: readonly Resource[] = [
  ofTenant({
    name: 'consoleSecurity',
    fields: consoleFields,
    read: security,
    change: security,
    defaults: {
      ipSettings: everybody,
      minimumPasswordLength: 6,
      forcePasswordChangeDays: 180,
      disableAfterAttempts: 5,
      disableAfterInactiveDays: 180,
      logoutOnInactive: 10,
      loginMessage: '',
    },
  }),
  ofTenant({
    name: 'searchSecurity',
    fields: { ipSettings: ipSettings() },
    read: security,
    change: security,
    defaults: { ipSettings: everybody },
  }),
  ofTenant({
    name: 'contactInfo',
    roots: ['contactinfo'],
    fields: Object.fromEntries(contactNames.map((name) => [name, text(256)])),
    defaults: Object.fromEntries(contactNames.map((name) => [name, ''])),
  }),
  ofTenant({
    name: 'emailNotification',
    fields: emailFields,
    defaults: {
      enabled: false,
      emailTemplate: { from: '', subject: '', body: '' },
      recipients: { recipient: [] },
    },
  }),
  {
    path: '/tenants/:tenant/permissions',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => ({
          document: { root: 'permissions', value: tenantOf(exchange).documents['permissions'] ?? fullMask },
        }),
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const permissions = await changedMask(exchange)
          await changeTenant(exchange, tenantOf(exchange), { permissions })
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/cors',
    operations: {
      GET: { allowed: bothRead, handle: (exchange) => corsOf(tenantOf(exchange).documents) },
      PUT: {
        allowed: bothChange,
        handle: async (exchange) => {
          const cors = await newCors(exchange)
          await changeTenant(exchange, tenantOf(exchange), { cors })
          return {}
        },
      },
      DELETE: {
        allowed: bothChange,
        handle: async (exchange) => {
          corsOf(tenantOf(exchange).documents)
          await changeTenant(exchange, tenantOf(exchange), { cors: undefined })
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/availableServicePlans',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => {
          checkPlans(exchange)
          return { document: { root: 'availableServicePlans', value: { name: ['Default'] } } }
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/availableServicePlans/:plan',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => {
          checkPlans(exchange)
          if (exchange.variables['plan']!.toLowerCase() !== 'default')
            throw new Refusal(404, 'There is no such service plan.')
          const value = { name: 'Default', description: 'The plan of every system.' }
          return { document: { root: 'availableServicePlan', value } }
        },
      },
    },
  },
]

function checkPlans(exchange: MapiExchange): void {
  if (tenantProperties(tenantOf(exchange))['servicePlanSelectionEnabled'] !== true)
    throw new Refusal(403, 'The tenant may not select service plans.')
}

const className = /^[^,/\p{Cc}]{1,64}$/u
const contentClassFields: Fields = {
  name: matching(className, '1 to 64 characters'),
  contentProperties: list(
    'contentProperty',
    group({
      name: matching(/^\w{1,25}$/, '1 to 25 letters, digits and underscores'),
      expression: text(4_096, 1),
      type: choice('STRING', 'BOOLEAN', 'DATE', 'FLOAT', 'FULLTEXT', 'INTEGER'),
      multivalued: boolean,
      format: text(256),
    }),
  ),
  namespaces: list('name', text(63, 1)),
}

function contentClassesOf(exchange: MapiExchange): Record<string, DocumentFields> {
  const tenant = tenantOf(exchange)
  if (tenantProperties(tenant)['searchConfigurationEnabled'] !== true)
    throw new Refusal(403, 'The tenant may not configure search.')
  return members(tenant.documents['contentClasses'])
}

function contentClassOf(exchange: MapiExchange): DocumentFields {
  const key = exchange.variables['class']!.toLowerCase()
  const classes = contentClassesOf(exchange)
  if (!Object.hasOwn(classes, key)) throw new Refusal(404, 'There is no such content class.')
  return classes[key]!
}

/** Replaces one class; an old name goes. */
function setContentClass(
  exchange: MapiExchange,
  old: string | undefined,
  value: DocumentFields | undefined,
): Promise<void> {
  let classes = contentClassesOf(exchange)
  if (old !== undefined) delete classes[old.toLowerCase()]
  if (value !== undefined) {
    const key = textOf(value['name']).toLowerCase()
    if (Object.hasOwn(classes, key)) throw new Refusal(409, 'There is a content class of that name already.')
    for (const name of entriesOf(value['namespaces'], 'name')) {
      if (!tenantOf(exchange).namespaces.has(name.toLowerCase()))
        throw new Refusal(400, `There is no namespace ${name}.`)
    }
    classes = { ...classes, [key]: value }
  }
  return changeTenant(exchange, tenantOf(exchange), { contentClasses: classes })
}

const contentClasses: readonly Resource[] = [
  {
    path: '/tenants/:tenant/contentClasses',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => {
          const names = Object.values(contentClassesOf(exchange)).map(({ name }) => textOf(name))
          return { document: { root: 'contentClasses', value: { name: names.toSorted() } } }
        },
      },
      PUT: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const given = readFields(await exchange.document('contentClass'), contentClassFields)
          need(given, 'name')
          await setContentClass(exchange, undefined, {
            contentProperties: { contentProperty: [] },
            namespaces: { name: [] },
            ...given,
          })
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/contentClasses/:class',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => ({ document: { root: 'contentClass', value: contentClassOf(exchange) } }),
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const given = readFields(await exchange.document('contentClass'), contentClassFields)
          const before = contentClassOf(exchange)
          await setContentClass(exchange, textOf(before['name']), { ...before, ...given })
          return {}
        },
      },
      DELETE: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const { name, contentProperties } = contentClassOf(exchange)
          const properties = contentProperties as DocumentFields | undefined
          const list = properties?.['contentProperty']
          if (Array.isArray(list) && list.length > 0)
            throw new Refusal(403, 'The content class has content properties.')
          await setContentClass(exchange, textOf(name), undefined)
          return {}
        },
      },
    },
  },
]

export const settingsResources: readonly Resource[] = [
  ...tenantSettings,
  ...namespaceSettings,
  ...contentClasses,
]
