import type { NamespaceSettings, NamespaceStatistics, Permissions, RetentionClass } from '@hcp/namespace'
import type { Checks } from './checks.ts'
import { inBytes } from './figures.ts'

/** What the demonstration does in the namespace. */
const needed = ['browse', 'read', 'write', 'delete'] as const

/** How a namespace is set up, in a line. */
export function settingsLine(
  { name, retentionMode, hashScheme, dpl, versioningEnabled }: NamespaceSettings,
  classes: Readonly<Record<string, RetentionClass>>,
): string {
  const names = Object.keys(classes)
  const retention = names.length === 0 ? 'no retention classes' : `retention classes ${names.join(', ')}`
  const versions = versioningEnabled ? 'versions' : 'no versions'
  return `Namespace ${name}: ${retentionMode} mode, ${hashScheme}, protection level ${dpl}, ${versions}, ${retention}.`
}

/** What a user may do, in a line. It is a failure if that is not enough. */
export function permissionsLine(permissions: Permissions, checks: Checks): string {
  for (const permission of needed) {
    checks.that(permissions[permission], `the user has no permission to ${permission}`)
  }
  const granted = Object.entries(permissions).filter(([, may]) => may)
  return `The user has the permissions ${granted.map(([name]) => name).join(', ') || '(none)'}.`
}

/** What a namespace holds, in a line. */
export function statisticsLine({
  objectCount,
  customMetadataObjectCount,
  usedCapacityBytes,
  totalCapacityBytes,
}: NamespaceStatistics): string {
  const annotated =
    customMetadataObjectCount === 0 ? '' : `, ${customMetadataObjectCount} of them with annotations`
  const [used, total] = [usedCapacityBytes, totalCapacityBytes].map((bytes) => inBytes(Number(bytes)))
  return `HCP holds ${objectCount} objects${annotated}; ${used} of ${total} are in use.`
}
