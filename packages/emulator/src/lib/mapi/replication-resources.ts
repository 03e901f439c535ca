import { X509Certificate } from 'node:crypto'
import { Refusal } from '../refusal.ts'
import type { FailoverSettings, Link, LinkAction, LinkState, Member } from '../replication/link.ts'
import { linkActions, newLinkState, usualFailover } from '../replication/link.ts'
import type { ReplicationPair, ServiceSettings } from '../replication/replication-pair.ts'
import { replicationPort } from '../replication/replication-pair.ts'
import type { SideSchedule, Transition } from '../replication/schedule.ts'
import { hourOfWeek } from '../replication/schedule.ts'
import type { SideName } from '../replication/side.ts'
import { otherSide, sideNames } from '../replication/side.ts'
import type { Tenant } from '../tenant.ts'
import { zonedTime } from '../times.ts'
import { documentTypes, negotiated } from './documents.ts'
import { boolean, choice, group, integer, matching, need, readFields, text, textOf } from './fields.ts'
import type { Field, Fields } from './fields.ts'
import type { LinkView } from './replication-documents.ts'
import { linkDocument, pendingDocument, scheduleDocument } from './replication-documents.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Operation, Resource } from './resource.ts'
import { systemChanges, systemReads } from './surroundings.ts'

type Handler = Operation['handle']

const get = (handle: Handler): Operation => ({ allowed: systemReads, handle })
const change = (handle: Handler): Operation => ({ allowed: systemChanges, handle })

const root = '/services/replication'
const ofLink = `${root}/links/:link`

/** `/mapi/services/replication` and what is below it. */
export const replicationResources: readonly Resource[] = [
  { path: root, operations: { GET: get(readService), POST: change(changeService) } },
  {
    path: `${root}/certificates`,
    operations: { GET: get(listCertificates), PUT: change(uploadCertificate) },
  },
  { path: `${root}/certificates/server`, operations: { GET: change(readServerCertificate) } },
  {
    path: `${root}/certificates/:id`,
    operations: { GET: get(readCertificate), DELETE: change(removeCertificate) },
  },
  { path: `${root}/links`, operations: { GET: get(listLinks), PUT: change(createLink) } },
  {
    path: ofLink,
    operations: { GET: get(readLink), POST: change(changeLink), DELETE: change(removeLink) },
  },
  { path: `${ofLink}/content`, operations: { GET: get(readContent) } },
  {
    path: `${ofLink}/content/tenants`,
    operations: { GET: get((exchange) => names('tenants', membersOf(viewOf(exchange)))) },
  },
  {
    path: `${ofLink}/content/tenants/:member`,
    operations: {
      GET: get(readMember),
      PUT: change(addMember),
      POST: change(pauseMember),
      DELETE: change(removeMember),
    },
  },
  { path: `${ofLink}/content/defaultNamespaceDirectories`, operations: { GET: get(noDefaultTenant) } },
  {
    path: `${ofLink}/content/defaultNamespaceDirectories/:directory`,
    operations: { PUT: change(noDefaultTenant), DELETE: change(noDefaultTenant) },
  },
  {
    path: `${ofLink}/content/chainedLinks`,
    operations: { GET: get((exchange) => names('chainedLinks', passive(exchange).link.state.chainedLinks)) },
  },
  {
    path: `${ofLink}/content/chainedLinks/:chained`,
    operations: { PUT: change(addChained), DELETE: change(removeChained) },
  },
  ...(['local', 'remote'] as const).flatMap((which): Resource[] => [
    {
      path: `${ofLink}/${which}Candidates`,
      operations: { GET: get((exchange) => contentOf(candidates(exchange, which))) },
    },
    {
      path: `${ofLink}/${which}Candidates/tenants`,
      operations: { GET: get((exchange) => names('tenants', candidates(exchange, which).tenants)) },
    },
    {
      path: `${ofLink}/${which}Candidates/defaultNamespaceDirectories`,
      operations: { GET: get(noDefaultTenant) },
    },
    {
      path: `${ofLink}/${which}Candidates/chainedLinks`,
      operations: {
        GET: get((exchange) => {
          passive(exchange)
          return names('chainedLinks', candidates(exchange, which).chainedLinks ?? [])
        }),
      },
    },
  ]),
  {
    path: `${ofLink}/schedule`,
    operations: { GET: get(readSchedule), POST: change(changeSchedule) },
  },
]

/** The pair of systems, and which of them was asked. */
function pairOf({ system }: MapiExchange): { pair: ReplicationPair; side: SideName } {
  if (system.replication === undefined) throw new Refusal(404)
  system.replication.pair.settle()
  return system.replication
}

function viewOf(exchange: MapiExchange): LinkView {
  const { pair, side } = pairOf(exchange)
  const link = pair.link(exchange.variables['link']!)
  if (link === undefined) throw new Refusal(404, 'There is no such link.')
  return { pair, link, side }
}

function passive(exchange: MapiExchange): LinkView {
  const view = viewOf(exchange)
  if (view.link.state.mode === 'ACTIVE_ACTIVE')
    throw new Refusal(400, 'An active/active link has no chained links.')
  return view
}

function names(element: string, list: readonly string[]): MapiAnswer {
  return { document: { root: element, value: { name: list } } }
}

function noBody({ hasBody }: MapiExchange): void {
  if (hasBody) throw new Refusal(400, 'This request takes no body.')
}

/** The one action that the query names, if it names any. */
function actionOf<Name extends string>({ query }: MapiExchange, actions: readonly Name[]): Name | undefined {
  const named = actions.filter((action) => query.has(action))
  if (named.length > 1) throw new Refusal(400, `Only one action at a time: ${named.join(', ')}.`)
  return named[0]
}

const serviceFields: Fields = {
  allowTenantsToMonitorNamespaces: boolean,
  enableDNSFailover: boolean,
  enableDomainAndCertificateSynchronization: boolean,
  network: text(64, 1),
  connectivityTimeoutSeconds: integer(0, 1_000_000),
  verification: choice('ON', 'ONCE', 'OFF'),
}

function readService(exchange: MapiExchange): MapiAnswer {
  const { pair, side } = pairOf(exchange)
  const status = pair.shutDown[side] === null ? 'ENABLED' : 'SHUTDOWN'
  const value = { ...pair.services[side], ...(exchange.verbose ? { status } : {}) }
  return { document: { root: 'replicationService', value } }
}

async function changeService(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, side } = pairOf(exchange)
  const action = actionOf(exchange, ['shutDownAllLinks', 'reestablishAllLinks'])
  if (action !== undefined) {
    noBody(exchange)
    if (action === 'shutDownAllLinks') {
      const reason = exchange.query.get(action)!.trim()
      if (reason === '') throw new Refusal(400, "The parameter 'shutDownAllLinks' needs a reason.")
      if (Array.from(reason).length > 1_024)
        throw new Refusal(400, 'The reason is longer than 1024 characters.')
      pair.shutDown[side] = reason
    } else pair.shutDown[side] = null
  } else {
    const fields = readFields(await exchange.document('replicationService'), serviceFields)
    const network = fields['network']
    if (typeof network === 'string' && network.toLowerCase() !== '[hcp_system]')
      throw new Refusal(400, 'There is no such network that replication can use.')
    const set = { ...fields, ...(network === undefined ? {} : { network: '[hcp_system]' }) }
    pair.services[side] = { ...pair.services[side], ...(set as Partial<ServiceSettings>) }
  }
  await pair.update()
  return {}
}

function listCertificates(exchange: MapiExchange): MapiAnswer {
  const { pair, side } = pairOf(exchange)
  const certificate = pair.certificates[side].all.map(({ id, text: pem }) => {
    const { subject, validFrom, validTo } = new X509Certificate(pem)
    return {
      id,
      subjectDN: subject.split('\n').join(', '),
      validOn: zonedTime(Date.parse(validFrom)),
      expiresOn: zonedTime(Date.parse(validTo)),
    }
  })
  return { document: { root: 'certificates', value: { certificate } } }
}

async function uploadCertificate(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, side } = pairOf(exchange)
  if (!exchange.hasBody) throw new Refusal(400, 'The request body is missing.')
  pair.certificates[side].add((await exchange.body.buffer(1024 * 1024)).toString('latin1'))
  await pair.update()
  return {}
}

function certificateText(exchange: MapiExchange, id: string): string {
  const { pair, side } = pairOf(exchange)
  const found = pair.certificates[side].find(id)
  if (found === undefined) throw new Refusal(404, 'There is no such certificate.')
  return found.text
}

function readServerCertificate(exchange: MapiExchange): MapiAnswer {
  return {
    headers: ['Content-Disposition', 'attachment; filename=server_certificate.txt'],
    content: { type: 'text/plain', body: Buffer.from(certificateText(exchange, 'server')) },
  }
}

function readCertificate(exchange: MapiExchange): MapiAnswer {
  return {
    content: { type: 'text/plain', body: Buffer.from(certificateText(exchange, exchange.variables['id']!)) },
  }
}

async function removeCertificate(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, side } = pairOf(exchange)
  if (!pair.certificates[side].remove(exchange.variables['id']!))
    throw new Refusal(404, 'There is no such certificate.')
  await pair.update()
  return {}
}

function listLinks(exchange: MapiExchange): MapiAnswer {
  const { pair } = pairOf(exchange)
  return names(
    'links',
    pair.links.map(({ state }) => state.name),
  )
}

const minutes = (least: number): Field => integer(least, 9_999)
const failoverFields: Fields = {
  autoFailover: boolean,
  autoFailoverMinutes: minutes(7),
  autoCompleteRecovery: boolean,
  autoCompleteRecoveryMinutes: minutes(1),
}
const hosts: Field = (raw, name) => text(1_024, 1)(raw, name)
const port = integer(1, 65_535)
const linkFields: Fields = {
  name: matching(/^(?!\s*$)[^\p{Cc}]{1,64}$/u, 'a name of 1 to 64 characters'),
  type: choice('ACTIVE_ACTIVE', 'OUTBOUND', 'INBOUND'),
  description: text(),
  connection: group({ remoteHost: hosts, remotePort: port, localHost: hosts, localPort: port }),
  compression: boolean,
  encryption: boolean,
  priority: choice('OLDEST_FIRST', 'FAIR'),
  failoverSettings: group({ local: group(failoverFields), remote: group(failoverFields) }),
}

async function createLink(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, side } = pairOf(exchange)
  const fields = readFields(await exchange.document('link'), linkFields)
  need(fields, 'name', 'type', 'connection')
  const connection = fields['connection'] as DocumentFields
  need(connection, 'remoteHost')
  const name = textOf(fields['name'])
  if (pair.link(name) !== undefined) throw new Refusal(409, 'There is a link with this name.')
  checkPeer(pair, side, textOf(connection['remoteHost']))
  if (!pair.connected) throw new Refusal(400, 'The remote system cannot be reached.')
  if (!pair.certificatesShared)
    throw new Refusal(400, 'The systems do not have the replication server certificates of each other.')
  const type = fields['type'] as string
  const state = newLinkState({
    name,
    mode: type === 'ACTIVE_ACTIVE' ? 'ACTIVE_ACTIVE' : 'ACTIVE_PASSIVE',
    source: type === 'INBOUND' ? otherSide(side) : side,
    hosts: { primary: { host: '', port: replicationPort }, replica: { host: '', port: replicationPort } },
  })
  const { domain } = exchange.system
  setHosts(state, side, { localHost: `replication.${domain}`, ...connection })
  setPlain(state, side, type, fields)
  await pair.addLink(state)
  return {}
}

/** Refuses a host that is not the other system. */
function checkPeer(pair: ReplicationPair, side: SideName, host: string): void {
  const system = pair.system(otherSide(side))
  const wanted = host.split(',').map((each) => each.trim().toLowerCase())
  const own = system && [`replication.${system.domain}`, `replication.admin.${system.domain}`]
  const addresses = pair.nodesOf(otherSide(side))
  const known = own !== undefined && wanted.every((each) => own.includes(each) || addresses.includes(each))
  if (!known) throw new Refusal(400, 'There is no HCP system at the remote host.')
}

function setHosts(state: LinkState, side: SideName, connection: DocumentFields): void {
  const other = otherSide(side)
  const place = (which: SideName, host: unknown, at: unknown): { host: string; port: number } => ({
    host: typeof host === 'string' ? host : state.hosts[which].host,
    port: typeof at === 'number' ? at : state.hosts[which].port,
  })
  state.hosts = {
    ...state.hosts,
    [side]: place(side, connection['localHost'], connection['localPort']),
    [other]: place(other, connection['remoteHost'], connection['remotePort']),
  }
}

/** What is the same at the creation and later. */
function setPlain(state: LinkState, side: SideName, type: string, fields: DocumentFields): void {
  const failover = fields['failoverSettings'] as Readonly<Record<string, DocumentFields>> | undefined
  if (failover !== undefined) {
    const sides: [string, SideName][] = [
      ['local', side],
      ['remote', otherSide(side)],
    ]
    const settings = { ...state.failover }
    for (const [which, at] of sides) {
      const given = failover[which]
      if (given === undefined) continue
      if ((type === 'OUTBOUND' && which === 'local') || (type === 'INBOUND' && which === 'remote'))
        throw new Refusal(400, `The failover settings of an ${type} link have no ${which} side.`)
      if (type === 'ACTIVE_ACTIVE' && Object.keys(given).some((name) => name.startsWith('autoComplete')))
        throw new Refusal(400, 'An active/active link has no recovery that could be completed.')
      settings[at] = { ...(settings[at] ?? usualFailover), ...(given as unknown as FailoverSettings) }
    }
    state.failover = settings
  }
  if (fields['description'] !== undefined) state.description = textOf(fields['description'])
  if (fields['compression'] !== undefined) state.compression = fields['compression'] === true
  if (fields['encryption'] !== undefined) state.encryption = fields['encryption'] === true
  if (fields['priority'] !== undefined) state.priority = fields['priority'] as LinkState['priority']
}

function readLink(exchange: MapiExchange): MapiAnswer {
  const view = viewOf(exchange)
  return {
    document: { root: 'link', value: linkDocument(view, exchange.verbose, rateFor(exchange)) },
  }
}

/** XML prints rates with a decimal, whatever they are; JSON has numbers. */
function rateFor({ headers }: MapiExchange): (value: number) => number | string {
  const xml = negotiated(headers, documentTypes) === 'application/xml'
  return (value) => (xml ? value.toFixed(1) : value)
}

async function changeLink(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, link, side } = viewOf(exchange)
  const action = actionOf<LinkAction>(exchange, linkActions)
  if (action !== undefined) {
    noBody(exchange)
    await pair.act(link, action, side)
    return {}
  }
  const fields = readFields(await exchange.document('link'), linkFields)
  const { state } = link
  const before = link.typeAt(side)
  const type = (fields['type'] as string | undefined) ?? before
  if (type !== before && type !== 'ACTIVE_ACTIVE')
    throw new Refusal(400, 'The type of a link can only become ACTIVE_ACTIVE.')
  if (type !== before && state.phase !== 'normal')
    throw new Refusal(400, 'The type of a link that is failed over cannot be changed.')
  const name = fields['name']
  const known = name === undefined ? undefined : pair.link(textOf(name))
  if (known !== undefined && known !== link) throw new Refusal(409, 'There is a link with this name.')
  const connection = fields['connection'] as DocumentFields | undefined
  if (connection?.['remoteHost'] !== undefined) checkPeer(pair, side, textOf(connection['remoteHost']))
  setPlain(state, side, type, fields)
  if (connection !== undefined) setHosts(state, side, connection)
  if (name !== undefined) state.name = textOf(name)
  if (type !== before) {
    state.mode = 'ACTIVE_ACTIVE'
    state.suspended = true
  }
  await pair.update()
  return {}
}

async function removeLink(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, link } = viewOf(exchange)
  if (!link.state.suspended) throw new Refusal(403, 'The link has to be suspended first.')
  await pair.removeLink(link)
  return {}
}

/** What is on a link, or could be. */
interface Content {
  readonly tenants: readonly string[]
  /** Never on an active/active link. */
  readonly chainedLinks: readonly string[] | undefined
}

function contentOf({ tenants, chainedLinks }: Content): MapiAnswer {
  return {
    document: {
      root: 'content',
      value: {
        tenants: { name: tenants },
        ...(chainedLinks === undefined ? {} : { chainedLinks: { name: chainedLinks } }),
      },
    },
  }
}

function readContent(exchange: MapiExchange): MapiAnswer {
  const view = viewOf(exchange)
  const { mode, chainedLinks } = view.link.state
  return contentOf({
    tenants: membersOf(view),
    chainedLinks: mode === 'ACTIVE_ACTIVE' ? undefined : chainedLinks,
  })
}

function tenantOf({ pair, side }: LinkView, id: string): Tenant | undefined {
  for (const each of [side, otherSide(side)]) {
    for (const tenant of pair.system(each)?.tenants.values() ?? []) if (tenant.id === id) return tenant
  }
  return undefined
}

function membersOf(view: LinkView): string[] {
  return view.link.state.members.flatMap(({ id }) => tenantOf(view, id)?.name ?? [])
}

function memberOf(exchange: MapiExchange): LinkView & { readonly member: Member } {
  const view = viewOf(exchange)
  const name = exchange.variables['member']!.toLowerCase()
  const member = view.link.state.members.find(({ id }) => tenantOf(view, id)?.name.toLowerCase() === name)
  if (member === undefined) throw new Refusal(404, 'There is no such tenant on the link.')
  return { ...view, member }
}

function readMember(exchange: MapiExchange): MapiAnswer {
  const view = memberOf(exchange)
  const { member } = view
  const status =
    member.paused === undefined ? 'REPLICATING' : member.paused === 'auto' ? 'AUTO_PAUSED' : 'PAUSED'
  return { document: { root: 'tenant', value: { status, ...pendingDocument(view, member.id) } } }
}

/** Refuses changes of what is on a link while a side has shut all links down. */
function checkNotShutDown({ pair }: LinkView): void {
  if (sideNames.some((side) => pair.shutDown[side] !== null))
    throw new Refusal(403, 'All links are shut down: what is on them cannot be changed.')
}

async function addMember(exchange: MapiExchange): Promise<MapiAnswer> {
  const view = viewOf(exchange)
  const { pair, link, side } = view
  noBody(exchange)
  checkNotShutDown(view)
  const name = exchange.variables['member']!.toLowerCase()
  // Of an active/passive link, only what the primary has can be added.
  const sides = link.state.mode === 'ACTIVE_ACTIVE' ? [side, otherSide(side)] : [link.state.source]
  const at = sides.find((each) => pair.system(each)?.tenants.has(name))
  if (at === undefined) throw new Refusal(404, 'There is no such tenant that could be added.')
  const tenant = pair.system(at)!.tenants.get(name)!
  const taken = pair.linkOfTenant(tenant.id)
  if (taken !== undefined) throw new Refusal(409, `The tenant is on the link ${taken.state.name} already.`)
  if (!mayBeReplicated(tenant)) throw new Refusal(403, 'The tenant may not be replicated.')
  if (!pair.connected) throw new Refusal(503, 'The remote system cannot be reached.')
  await pair.addMember(link, tenant, at)
  return {}
}

function mayBeReplicated({ documents }: Tenant): boolean {
  const set = documents['tenant']
  // What the configuration file has may be.
  return set === undefined || set['replicationConfigurationEnabled'] === true
}

async function pauseMember(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, member } = memberOf(exchange)
  noBody(exchange)
  const action = actionOf(exchange, ['pause', 'resume'])
  if (action === undefined) throw new Refusal(400, "One of the parameters 'pause' and 'resume' is required.")
  const { refusedAction } = exchange.system.choices
  if ((action === 'pause') === (member.paused !== undefined))
    throw new Refusal(refusedAction, `The tenant is ${action === 'pause' ? '' : 'not '}paused.`)
  await pair.setPaused(member, action === 'pause')
  return {}
}

async function removeMember(exchange: MapiExchange): Promise<MapiAnswer> {
  const view = memberOf(exchange)
  checkNotShutDown(view)
  await view.pair.removeMember(view.link, view.member.id)
  return {}
}

function noDefaultTenant(exchange: MapiExchange): never {
  viewOf(exchange)
  throw new Refusal(404, 'There is no default tenant.')
}

/** What could be put on a link, of the system that is asked or of the other one. */
function candidates(exchange: MapiExchange, which: 'local' | 'remote'): Content {
  const { pair, link, side } = viewOf(exchange)
  if (which === 'remote' && !pair.connected) throw new Refusal(503, 'The remote system cannot be reached.')
  const at = which === 'local' ? side : otherSide(side)
  const active = link.state.mode === 'ACTIVE_ACTIVE'
  const offers = active || at === link.state.source
  const tenants = offers ? [...(pair.system(at)?.tenants.values() ?? [])] : []
  const free = tenants.filter(
    (tenant) => pair.linkOfTenant(tenant.id) === undefined && mayBeReplicated(tenant),
  )
  return {
    tenants: free.map(({ name }) => name),
    chainedLinks: active ? undefined : offers ? chainable(pair, link).map(({ state }) => state.name) : [],
  }
}

/** Links inbound to the primary of a link, that are not in it yet. */
function chainable(pair: ReplicationPair, link: Link): Link[] {
  const { source, chainedLinks } = link.state
  return pair.links.filter(
    (each) => each.typeAt(source) === 'INBOUND' && !chainedLinks.includes(each.state.name),
  )
}

async function addChained(exchange: MapiExchange): Promise<MapiAnswer> {
  const view = passive(exchange)
  noBody(exchange)
  checkNotShutDown(view)
  const chained = view.pair.link(exchange.variables['chained']!)
  if (chained === undefined) throw new Refusal(404, 'There is no such link.')
  if (view.link.state.chainedLinks.includes(chained.state.name))
    throw new Refusal(409, 'The link is in this one already.')
  if (!chainable(view.pair, view.link).includes(chained))
    throw new Refusal(400, 'Only an inbound link of the primary can be added.')
  view.link.state.chainedLinks.push(chained.state.name)
  await view.pair.update()
  return {}
}

async function removeChained(exchange: MapiExchange): Promise<MapiAnswer> {
  const view = passive(exchange)
  checkNotShutDown(view)
  const list = view.link.state.chainedLinks
  const name = exchange.variables['chained']!.toLowerCase()
  const at = list.findIndex((each) => each.toLowerCase() === name)
  if (at === -1) throw new Refusal(404, 'There is no such link in this one.')
  list.splice(at, 1)
  await view.pair.update()
  return {}
}

function readSchedule(exchange: MapiExchange): MapiAnswer {
  return { document: { root: 'schedule', value: scheduleDocument(viewOf(exchange)) } }
}

const transitionFields: Fields = {
  time: (raw, name) => {
    const value = textOf(text(6, 1)(raw, name))
    if (hourOfWeek(value) !== undefined) return value
    throw new Refusal(400, `The value of the property '${name}' is invalid: it must be such as Mon:07.`)
  },
  performanceLevel: choice('LOW', 'MEDIUM', 'HIGH', 'CUSTOM', 'OFF'),
}

const transitions: Field = (raw, name) => {
  const given: unknown[] = Array.isArray(raw) ? raw : [raw]
  return given.map((each) => {
    const fields = group(transitionFields)(each, name) as DocumentFields
    need(fields, 'time', 'performanceLevel')
    return fields
  })
}

const sideFields: Fields = {
  scheduleOverride: choice('NONE', 'LOW', 'MEDIUM', 'HIGH', 'CUSTOM'),
  transition: transitions,
}

async function changeSchedule(exchange: MapiExchange): Promise<MapiAnswer> {
  const { pair, link, side } = viewOf(exchange)
  const fields = readFields(await exchange.document('schedule'), {
    local: group(sideFields),
    remote: group(sideFields),
  })
  const type = link.typeAt(side)
  const schedule = { ...link.state.schedule }
  for (const [which, given] of Object.entries(fields)) {
    if ((type === 'INBOUND' && which === 'local') || (type === 'OUTBOUND' && which === 'remote'))
      throw new Refusal(400, `The schedule of an ${type} link has no ${which} side.`)
    const at = which === 'local' ? side : otherSide(side)
    const set = given as Partial<SideSchedule>
    if (set.transition !== undefined) checkTransitions(set.transition)
    schedule[at] = { ...schedule[at], ...set }
  }
  link.state.schedule = schedule
  await pair.update()
  return {}
}

function checkTransitions(list: readonly Transition[]): void {
  if (list.length > 0 && list.every(({ performanceLevel }) => performanceLevel === 'OFF'))
    throw new Refusal(400, 'A link cannot be off for the entire week: suspend it.')
  if (new Set(list.map(({ time }) => time)).size < list.length)
    throw new Refusal(400, 'Two transitions have the same time.')
}
