import type { Link, FailoverSettings } from '../replication/link.ts'
import type { ReplicationPair } from '../replication/replication-pair.ts'
import type { SideSchedule } from '../replication/schedule.ts'
import type { SideName } from '../replication/side.ts'
import { otherSide } from '../replication/side.ts'
import { zonedTime } from '../times.ts'
import type { DocumentFields, DocumentValue } from './resource.ts'

/** A link as one of its systems has it. */
export interface LinkView {
  readonly pair: ReplicationPair
  readonly link: Link
  readonly side: SideName
}

/** The `link` document; with what nobody sets where it is to be verbose. */
export function linkDocument(
  view: LinkView,
  verbose: boolean,
  rate: (value: number) => DocumentValue,
): DocumentFields {
  const { link, side } = view
  const { name, description, hosts, compression, encryption, priority, id, suspended } = link.state
  const [local, remote] = [hosts[side], hosts[otherSide(side)]]
  return {
    name,
    type: link.typeAt(side),
    description,
    connection: {
      remoteHost: remote.host,
      remotePort: remote.port,
      localHost: local.host,
      localPort: local.port,
    },
    compression,
    encryption,
    priority,
    failoverSettings: failoverDocument(view),
    ...(verbose ? { id, ...link.statusAt(side), suspended, statistics: statisticsOf(view, rate) } : {}),
  }
}

/** Of an active/passive link, only the replica's settings are there, under the name that it has for each side. */
function failoverDocument({ link, side }: LinkView): DocumentFields {
  const { failover } = link.state
  const type = link.typeAt(side)
  const document = (settings: FailoverSettings): DocumentFields => {
    const { autoFailover, autoFailoverMinutes, autoCompleteRecovery, autoCompleteRecoveryMinutes } = settings
    return {
      autoFailover,
      autoFailoverMinutes,
      ...(type === 'ACTIVE_ACTIVE' ? {} : { autoCompleteRecovery, autoCompleteRecoveryMinutes }),
    }
  }
  return {
    ...(type === 'OUTBOUND' ? {} : { local: document(failover[side]) }),
    ...(type === 'INBOUND' ? {} : { remote: document(failover[otherSide(side)]) }),
  }
}

/** What waits in both directions, and up to when both sides are the same: of a link, or of one tenant on it. */
export function pendingDocument({ pair, link, side }: LinkView, tenantId?: string): DocumentFields {
  const { mode, phase, source } = link.state
  const passive = mode === 'ACTIVE_PASSIVE'
  const [own, others] = [side, otherSide(side)].map((each) => pair.waiting(link, each, tenantId))
  const receives =
    passive &&
    ((phase === 'normal' && side !== source) ||
      ((phase === 'recovering' || phase === 'completing') && side === source))
  const since = [own, others].flatMap((each) => each?.since ?? [])
  const now = pair.system(side)!.now()
  const upToDate = Math.min(now, ...since)
  return {
    upToDateAsOfString: zonedTime(upToDate),
    upToDateAsOfMillis: upToDate,
    bytesPending: receives ? 0 : own!.bytes,
    bytesPendingRemote: passive ? 0 : others!.bytes,
    objectsPending: receives ? 0 : own!.count,
    objectsPendingRemote: passive ? 0 : others!.count,
  }
}

function statisticsOf(view: LinkView, rate: (value: number) => DocumentValue): DocumentFields {
  const { totals, rates } = view.link.statistics[view.side]
  const pending = pendingDocument(view)
  return {
    upToDateAsOfString: pending['upToDateAsOfString'],
    upToDateAsOfMillis: pending['upToDateAsOfMillis'],
    bytesPending: pending['bytesPending'],
    bytesPendingRemote: pending['bytesPendingRemote'],
    bytesReplicated: totals.bytes,
    bytesPerSecond: rate(rates.bytes),
    objectsPending: pending['objectsPending'],
    objectsPendingRemote: pending['objectsPendingRemote'],
    objectsReplicated: totals.objects,
    operationsPerSecond: rate(rates.operations),
    errors: totals.errors,
    errorsPerSecond: rate(rates.errors),
    objectsVerified: 0,
    objectsReplicatedAfterVerification: 0,
  }
}

export function scheduleDocument({ link, side }: LinkView): DocumentFields {
  const { schedule } = link.state
  const type = link.typeAt(side)
  const document = ({ scheduleOverride, transition }: SideSchedule): DocumentFields => ({
    scheduleOverride,
    transition: transition.map(({ time, performanceLevel }) => ({ time, performanceLevel })),
  })
  return {
    ...(type === 'INBOUND' ? {} : { local: document(schedule[side]) }),
    ...(type === 'OUTBOUND' ? {} : { remote: document(schedule[otherSide(side)]) }),
  }
}
