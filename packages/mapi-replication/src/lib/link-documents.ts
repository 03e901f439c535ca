import type { Document, DocumentValue } from '@hcp/mapi'
import { checkLinkName, checkObject, checkText, checkWhole } from './arguments.ts'
import { checkLinkType, LinkType } from './constants.ts'
import type { FailoverSettings, Link, LinkSettings } from './link.ts'
import type { ReplicationSettings } from './settings.ts'

/** How systems reach each other; one host is as good as a list of one. */
export interface ConnectionChanges {
  readonly remoteHost?: string | readonly string[]
  readonly remotePort?: number
  readonly localHost?: string | readonly string[]
  readonly localPort?: number
}

/** What of a link is to be changed; the rest stays. */
export interface LinkChanges extends Partial<Omit<LinkSettings, 'connection'>> {
  readonly connection?: ConnectionChanges
}

/** A link to be made; HCP has defaults for what is not given. */
export interface NewLink extends LinkChanges {
  readonly name: string
  readonly type: LinkType
  readonly connection: ConnectionChanges & { readonly remoteHost: string | readonly string[] }
}

const readOnly = [
  'id',
  'status',
  'statusMessage',
  'suspended',
  'statistics',
] as const satisfies readonly (keyof Link)[]

/** @throws {TypeError | RangeError} for what HCP would refuse, as far as its documents tell. */
export function newLinkDocument(link: NewLink): Document {
  checkRecord('The new link', link)
  checkLinkName(link.name)
  checkLinkType(link.type)
  if (link.connection?.remoteHost === undefined) {
    throw new TypeError('A new link needs connection.remoteHost: replication.<domain> of the other system')
  }
  return linkDocument(link)
}

/** @throws {TypeError | RangeError} for what HCP would refuse, as far as its documents tell. */
export function changedLinkDocument(changes: LinkChanges): Document {
  checkRecord('The changes of a link', changes)
  if (changes.name !== undefined) checkLinkName(changes.name)
  if (changes.type !== undefined) checkLinkType(changes.type)
  return linkDocument(changes)
}

function linkDocument(link: LinkChanges): Document {
  for (const name of readOnly) {
    if (name in link) {
      throw new TypeError(`"${name}" of a link cannot be set; linkSettings() has only what can`)
    }
  }
  const { connection, description, failoverSettings } = link
  if (description !== undefined && description !== '') checkText('description', description, 1024)
  checkFailover(failoverSettings, link.type)
  if (connection !== undefined) checkObject('connection', connection)
  const { remoteHost, remotePort, localHost, localPort } = connection ?? {}
  for (const [name, port] of Object.entries({ remotePort, localPort }))
    if (port !== undefined) checkWhole(`connection.${name}`, port, 1, 65_535)
  const value = {
    ...link,
    ...(connection === undefined
      ? {}
      : {
          connection: {
            ...connection,
            ...(remoteHost === undefined ? {} : { remoteHost: hostsOf('remoteHost', remoteHost) }),
            ...(localHost === undefined ? {} : { localHost: hostsOf('localHost', localHost) }),
          },
        }),
  }
  return { root: 'link', value: value as Readonly<Record<string, DocumentValue | undefined>> }
}

function hostsOf(name: string, hosts: string | readonly string[]): string {
  const list = typeof hosts === 'string' ? [hosts] : hosts
  if (!Array.isArray(list) || list.some((host) => typeof host !== 'string'))
    throw new TypeError(`connection.${name} must be a host or a list of hosts`)
  if (name === 'remoteHost' && !list.some((host) => host.trim() !== ''))
    throw new RangeError('connection.remoteHost must name a host')
  return list.join(', ')
}

function checkFailover(settings: FailoverSettings | undefined, type: string | undefined): void {
  if (settings === undefined) return
  checkObject('failoverSettings', settings)
  for (const side of ['local', 'remote'] as const) {
    const rule = settings[side]
    if (rule === undefined) continue
    const where = `failoverSettings.${side}`
    checkObject(where, rule)
    const { autoFailoverMinutes, autoCompleteRecovery, autoCompleteRecoveryMinutes } = rule
    if (autoFailoverMinutes !== undefined)
      checkWhole(`${where}.autoFailoverMinutes`, autoFailoverMinutes, 7, 9999)
    if (autoCompleteRecoveryMinutes !== undefined)
      checkWhole(`${where}.autoCompleteRecoveryMinutes`, autoCompleteRecoveryMinutes, 1, 9999)
    const completes = autoCompleteRecovery !== undefined || autoCompleteRecoveryMinutes !== undefined
    if (completes && type === LinkType.activeActive)
      throw new RangeError(`${where}: an active/active link has no recovery that could be completed`)
  }
}

/** @throws {TypeError | RangeError} */
export function settingsDocument(changes: ReplicationSettings): Document {
  checkRecord('The changes of settings', changes)
  if ('status' in changes) {
    throw new TypeError('"status" cannot be set: use shutDownAllLinks or reestablishAllLinks')
  }
  const { connectivityTimeoutSeconds: seconds } = changes
  if (seconds !== undefined) checkWhole('connectivityTimeoutSeconds', seconds, 0, 2_147_483_647)
  return { root: 'replicationService', value: changes as Readonly<Record<string, DocumentValue | undefined>> }
}

function checkRecord(what: string, value: object): void {
  checkObject(what, value)
  if (Object.values(value).every((each) => each === undefined))
    throw new TypeError(`${what} must name something`)
}
