import { createHash } from 'node:crypto'
import { Refusal } from '../refusal.ts'
import type { System } from '../system.ts'
import type { Fields } from './fields.ts'
import { boolean, choice, matching, need, readFields, text, textOf } from './fields.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Operation, Resource } from './resource.ts'
import { merged, systemChanges, systemReads } from './surroundings.ts'

const service: Operation['allowed'] = { system: ['ADMINISTRATOR', 'SERVICE'] }

/** Uploads of text: a licence key, or a package of keys. */
const maximumUpload = 256 * 1024

function changeSystem(system: System, documents: Readonly<Record<string, DocumentFields>>): Promise<void> {
  return system.configure({ set: 'system', id: 'system', value: merged(system.documents, documents) })
}

function nodeStatistics({ system }: MapiExchange): MapiAnswer {
  const now = system.now()
  const node = system.nodes().map(({ number, address, up, connections }) => ({
    nodeNumber: 100 + number,
    frontendIpAddresses: { ipAddress: [address] },
    backendIpAddress: `172.21.150.${100 + number}`,
    openHttpConnections: up ? connections : 0,
    openHttpsConnections: 0,
    maxHttpConnections: 255,
    maxHttpsConnections: 254,
    cpuUser: 1.5,
    cpuSystem: 0.5,
    cpuMax: 1600,
    ioWait: 0.1,
    swapOut: 0,
    maxFrontEndBandwidth: 1_250_000_000,
    frontEndBytesRead: 0,
    frontEndBytesWritten: 0,
    maxBackEndBandwidth: 1_250_000_000,
    backEndBytesRead: 0,
    backEndBytesWritten: 0,
    collectionTimestamp: now,
    volumes: {
      volume: [
        {
          id: 'example01',
          blocksRead: 0,
          blocksWritten: 0,
          diskUtilization: 0.1,
          transferSpeed: 0,
          totalBytes: 1_099_511_627_776,
          freeBytes: 549_755_813_888,
          totalInodes: 67_108_864,
          freeInodes: 67_000_000,
        },
      ],
    },
  }))
  return { document: { root: 'nodeStatistics', value: { requestTime: now, nodes: { node } } } }
}

const services = [
  'StorageTieringService',
  'RetirementPolicy',
  'MigrationPolicy',
  'MigrationVerificationPolicy',
  'ContentVerification',
  'GarbageCollection',
  'CapacityBalancePolicy',
  'SNodeCapacityBalanceService',
  'ErasureCodingService',
  'DispositionPolicy',
  'ScavengingPolicy',
  'ProtectionPolicy',
  'DuplicateElimination',
  'CompressionPolicy',
  'SNodeCompressionEncryptionValidationService',
]

/** None of them has ever run, which is how HCP writes it. */
function serviceStatistics({ system }: MapiExchange): MapiAnswer {
  const list = services.map((name) => ({
    name,
    state: 'READY',
    startTime: -1,
    formattedStartTime: '-1',
    endTime: -1,
    formattedEndTime: '-1',
    objectsExamined: 0,
    objectsExaminedPerSecond: 0,
    objectsServiced: 0,
    objectsServicedPerSecond: 0,
    objectsUnableToService: 0,
    objectsUnableToServicePerSecond: 0,
  }))
  const node = system.nodes().map(({ number, address }) => ({
    nodeNumber: 100 + number,
    frontendIpAddresses: { ipAddress: [address] },
    services: { service: list },
  }))
  const value = { requestTime: system.now(), services: { service: list }, nodes: { node } }
  return { document: { root: 'serviceStatistics', value } }
}

/** The licence that a system comes with. */
const firstLicense: DocumentFields = {
  localCapacity: 1_099_511_627_776,
  extendedCapacity: 0,
  feature: 'Premium',
  serialNumber: '00001',
  expirationDate: 'None',
  uploadDate: 'Jan 1, 2020',
}

function licensesOf(system: System): readonly DocumentFields[] {
  const list = system.documents['licenses']?.['license']
  return [firstLicense, ...(Array.isArray(list) ? (list as DocumentFields[]) : [])]
}

async function upload({ body, hasBody, headers }: MapiExchange): Promise<Buffer> {
  if (headers['content-type'] === undefined) throw new Refusal(415, 'The Content-Type is missing.')
  if (!hasBody) throw new Refusal(400, 'The request body is missing.')
  try {
    return await body.buffer(maximumUpload)
  } catch (error) {
    if (error instanceof Refusal && error.status === 413)
      throw new Refusal(400, `The request body is larger than ${maximumUpload} bytes.`)
    throw error
  }
}

async function putLicense(exchange: MapiExchange): Promise<MapiAnswer> {
  const key = await upload(exchange)
  const { system } = exchange
  const added = {
    ...firstLicense,
    serialNumber: createHash('sha256').update(key).digest('hex').slice(0, 8),
    uploadDate: new Date(system.now()).toLocaleDateString('en-US', {
      dateStyle: 'medium',
      timeZone: 'UTC',
    }),
  }
  await changeSystem(system, { licenses: { license: [...licensesOf(system).slice(1), added] } })
  return {}
}

const networkFields: Fields = { downstreamDNSMode: choice('BASIC', 'ADVANCED') }

async function changeNetwork(exchange: MapiExchange): Promise<MapiAnswer> {
  const { system, query, hasBody } = exchange
  const mode = query.get('downstreamDNSMode')
  const given = readFields(
    mode !== undefined && !hasBody
      ? { downstreamDNSMode: mode }
      : { ...(await exchange.document('networkSettings')), ...(mode && { downstreamDNSMode: mode }) },
    networkFields,
  )
  need(given, 'downstreamDNSMode')
  await changeSystem(system, { network: given })
  return {}
}

async function putCredentials(exchange: MapiExchange): Promise<MapiAnswer> {
  const keys = await upload(exchange)
  const { system } = exchange
  const seconds = Math.floor(system.now() / 1000)
  await changeSystem(system, {
    credentials: {
      type: 'Exclusive',
      defaultKeyType: 'Exclusive',
      applyTimeStamp: seconds,
      createTimeStamp: seconds,
      serialNumberFromPackage: createHash('sha256').update(keys).digest('hex').slice(0, 8),
    },
  })
  return {}
}

const date = matching(/^(0[1-9]|1[0-2])\/(0[1-9]|[12]\d|3[01])\/\d{4}$/, 'a date of the form MM/DD/YYYY')

async function prepareHealthCheck(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('healthCheckPrepare', 'healthcheckPrepare'), {
    startDate: date,
    endDate: date,
    exactTime: matching(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of the form hh:mm'),
    collectCurrent: boolean,
  })
  const [start, end] = ['startDate', 'endDate'].map((name) => {
    const [month, day, year] = textOf(given[name] ?? '').split('/')
    return year === undefined ? undefined : `${year}${month}${day}`
  })
  if (start !== undefined && end !== undefined && start > end)
    throw new Refusal(400, "The value of the property 'startDate' is after 'endDate'.")
  exchange.system.healthChecks.prepare()
  return {}
}

async function downloadHealthCheck(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('healthCheckDownload'), {
    nodes: matching(/^\s*(\d{1,4}\s*(,\s*\d{1,4}\s*)*)?$/, 'a list of numbers of nodes'),
    content: text(64),
  })
  const nodes = given['nodes'] === undefined ? undefined : textOf(given['nodes']).split(',').map(Number)
  const { fileName, body } = exchange.system.healthChecks.download(nodes)
  return {
    headers: ['Content-Disposition', `attachment; filename=${fileName}`],
    content: { type: 'application/zip', body },
  }
}

function cancelHealthCheck({ system }: MapiExchange): MapiAnswer {
  system.healthChecks.cancel()
  return {}
}

export const housekeepingResources: readonly Resource[] = [
  { path: '/nodes/statistics', operations: { GET: { allowed: systemReads, handle: nodeStatistics } } },
  { path: '/services/statistics', operations: { GET: { allowed: systemReads, handle: serviceStatistics } } },
  {
    path: '/storage/licenses',
    operations: {
      GET: {
        allowed: systemReads,
        handle: ({ system, verbose }) => {
          const all = licensesOf(system)
          const license = verbose
            ? all.toReversed()
            : all.slice(-1).map((each) => ({ ...each, uploadDate: undefined }))
          return { document: { root: 'licenses', value: { license } } }
        },
      },
      PUT: { allowed: systemChanges, handle: putLicense },
    },
  },
  {
    path: '/network',
    operations: {
      GET: {
        allowed: systemReads,
        handle: ({ system }) => ({
          document: {
            root: 'networkSettings',
            value: { downstreamDNSMode: 'BASIC', ...system.documents['network'] },
          },
        }),
      },
      POST: { allowed: systemChanges, handle: changeNetwork },
    },
  },
  {
    path: '/supportaccesscredentials',
    operations: {
      GET: {
        allowed: { system: ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'SERVICE'] },
        handle: ({ system }) => ({
          document: {
            root: 'supportAccessCredentials',
            value: { type: 'Default', defaultKeyType: 'Default', ...system.documents['credentials'] },
          },
        }),
      },
      PUT: { allowed: service, handle: putCredentials },
    },
  },
  {
    path: '/healthCheckReport',
    operations: {
      GET: {
        allowed: service,
        handle: ({ system }) => ({
          document: { root: 'healthCheckDownloadStatus', value: system.healthChecks.status() },
        }),
      },
      POST: {
        allowed: service,
        handle: (exchange) => {
          if (!exchange.query.has('cancel'))
            throw new Refusal(400, "The required parameter 'cancel' is missing.")
          return cancelHealthCheck(exchange)
        },
      },
    },
  },
  {
    path: '/healthCheckReport/prepare',
    operations: { POST: { allowed: service, handle: prepareHealthCheck } },
  },
  {
    path: '/healthCheckReport/download',
    operations: { POST: { allowed: service, handle: downloadHealthCheck } },
  },
  {
    path: '/healthCheckReport/cancel',
    operations: { POST: { allowed: service, handle: cancelHealthCheck } },
  },
]
