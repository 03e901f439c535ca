import type { NamespaceSettings, NamespaceStatistics, Permissions } from '@hcp/namespace'
import { expect, test } from 'vitest'
import { Checks } from './checks.ts'
import { permissionsLine, settingsLine, statisticsLine } from './namespace-facts.ts'

const settings: NamespaceSettings = {
  name: 'n1',
  nameIDNA: 'n1',
  versioningEnabled: false,
  searchEnabled: true,
  retentionMode: 'enterprise',
  defaultShredValue: false,
  defaultIndexValue: true,
  defaultRetentionValue: 0,
  hashScheme: 'SHA-256',
  dpl: 2,
  description: [],
}

test('the settings are told, with the retention classes if there are any', () => {
  expect(settingsLine(settings, {})).toBe(
    'Namespace n1: enterprise mode, SHA-256, protection level 2, no versions, no retention classes.',
  )
  const tax = { name: 'TAX', value: 'A+10y', autoDelete: false, description: '' }
  expect(settingsLine({ ...settings, versioningEnabled: true }, { TAX: tax })).toContain(
    ', versions, retention classes TAX.',
  )
})

test('a permission that is missing and needed is a failure, another is not', () => {
  const permissions: Permissions = {
    browse: true,
    read: true,
    write: true,
    readAcl: false,
    writeAcl: false,
    changeOwner: false,
    delete: true,
    privileged: false,
    purge: false,
    search: false,
  }
  const checks = new Checks()
  expect(permissionsLine(permissions, checks)).toBe(
    'The user has the permissions browse, read, write, delete.',
  )
  expect(checks.failed).toEqual([])
  permissionsLine({ ...permissions, delete: false }, checks)
  expect(checks.failed).toEqual(['the user has no permission to delete'])
})

test('the statistics are told, bytes beyond 2^53 too', () => {
  const statistics: NamespaceStatistics = {
    namespaceName: 'n1',
    totalCapacityBytes: 2n ** 63n,
    usedCapacityBytes: 1_572_864,
    softQuotaPercent: 85,
    objectCount: 3,
    shredObjectCount: 0,
    shredObjectBytes: 0,
    customMetadataObjectCount: 2,
    customMetadataObjectBytes: 5,
  }
  expect(statisticsLine(statistics)).toBe(
    'HCP holds 3 objects, 2 of them with annotations; 1.5 MiB of 8388608.0 TiB are in use.',
  )
  const empty = { ...statistics, objectCount: 0, customMetadataObjectCount: 0, usedCapacityBytes: 0 }
  expect(statisticsLine(empty)).toMatch(/^HCP holds 0 objects; 0 B of /)
})
