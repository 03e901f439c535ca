import { randomUUID } from 'node:crypto'
import { Refusal } from '../refusal.ts'
import type { Totals } from './link-statistics.ts'
import { DirectionStatistics } from './link-statistics.ts'
import type { SideSchedule } from './schedule.ts'
import { always, isOff } from './schedule.ts'
import type { SideName } from './side.ts'
import { otherSide } from './side.ts'

/** As one of the two systems has it: of an active/passive link, the primary's is outbound and the replica's inbound. */
export type LinkType = 'ACTIVE_ACTIVE' | 'OUTBOUND' | 'INBOUND'

export const linkActions = [
  'suspend',
  'resume',
  'failOver',
  'failBack',
  'beginRecovery',
  'beginRecover',
  'completeRecovery',
  'restore',
] as const
export type LinkAction = (typeof linkActions)[number]

export interface FailoverSettings {
  readonly autoFailover: boolean
  readonly autoFailoverMinutes: number
  readonly autoCompleteRecovery: boolean
  readonly autoCompleteRecoveryMinutes: number
}

/** A tenant of a link. */
export interface Member {
  /** The tenant's id. */
  readonly id: string
  /** By a user, or by HCP for a name that each system has given to a tenant of its own. */
  paused: 'user' | 'auto' | undefined
}

/** What is kept of a link: plain data. */
export interface LinkState {
  readonly id: string
  name: string
  mode: 'ACTIVE_ACTIVE' | 'ACTIVE_PASSIVE'
  /** Where it was made; of an active/passive link, the primary. */
  readonly source: SideName
  description: string
  hosts: Readonly<Record<SideName, { readonly host: string; readonly port: number }>>
  compression: boolean
  encryption: boolean
  priority: 'OLDEST_FIRST' | 'FAIR'
  failover: Readonly<Record<SideName, FailoverSettings>>
  schedule: Readonly<Record<SideName, SideSchedule>>
  suspended: boolean
  /** The side whose disk was full, which suspends the link. */
  storageFull: SideName | undefined
  phase: 'normal' | 'failedOver' | 'recovering' | 'completing'
  /** The side that has taken over. */
  failedOverTo: SideName | undefined
  /** Epoch milliseconds, since when the last phase of a recovery goes on. */
  completingSince: number | undefined
  members: Member[]
  directories: string[]
  chainedLinks: string[]
  totals: Record<SideName, Totals>
}

/** What a link has to know of what is around it. */
export interface LinkSurroundings {
  readonly now: () => number
  readonly refusedAction: 400 | 403 | 409
  /** Since when the systems cannot reach each other, in epoch milliseconds. */
  readonly lostSince: () => number | undefined
  /** Milliseconds of the last phase of a recovery, at least. */
  readonly recoveryMs: () => number
  readonly isUp: (side: SideName) => boolean
  readonly isShutDown: () => boolean
  /** Seconds after which a side says that the connection is lost. */
  readonly connectivityTimeout: (side: SideName) => number
  /** Each has the other's certificate. */
  readonly certificatesShared: () => boolean
  /** Nothing moves, though it should. */
  readonly paused: () => boolean
  /** How many paths wait on a side, and since when: epoch milliseconds. */
  readonly waiting: (
    link: Link,
    side: SideName,
  ) => { readonly count: number; readonly since: number | undefined }
  /** Sends everything again. */
  readonly resend: (link: Link, side: SideName) => void
}

export interface LinkStatus {
  readonly status: 'GOOD' | 'WARNING' | 'BAD'
  readonly statusMessage: string
}

export const usualFailover: FailoverSettings = {
  autoFailover: false,
  autoFailoverMinutes: 120,
  autoCompleteRecovery: false,
  autoCompleteRecoveryMinutes: 120,
}

const minute = 60_000
/** Errors a second from which on they are many. */
const highErrorRate = 1
/** Milliseconds after which a link is stalled on which nothing moves. */
const stalledAfter = minute

export function newLinkState(
  given: Pick<LinkState, 'name' | 'mode' | 'source' | 'hosts'> & Partial<LinkState>,
): LinkState {
  const none: Totals = { objects: 0, bytes: 0, errors: 0 }
  return {
    id: randomUUID(),
    description: '',
    compression: false,
    encryption: false,
    priority: 'OLDEST_FIRST',
    failover: { primary: usualFailover, replica: usualFailover },
    schedule: { primary: always, replica: always },
    suspended: false,
    storageFull: undefined,
    phase: 'normal',
    failedOverTo: undefined,
    completingSince: undefined,
    members: [],
    directories: [],
    chainedLinks: [],
    totals: { primary: { ...none }, replica: { ...none } },
    ...given,
  }
}

/** A replication link between two systems, as both see it: what it is set to, and the phases of failing over and back. */
export class Link {
  readonly state: LinkState
  /** What went from each side to the other. */
  readonly statistics: Readonly<Record<SideName, DirectionStatistics>>
  readonly #around: LinkSurroundings

  constructor(state: LinkState, around: LinkSurroundings) {
    this.state = state
    this.#around = around
    const { primary, replica } = state.totals
    this.statistics = { primary: new DirectionStatistics(primary), replica: new DirectionStatistics(replica) }
    state.totals = { primary: this.statistics.primary.totals, replica: this.statistics.replica.totals }
  }

  typeAt(side: SideName): LinkType {
    if (this.state.mode === 'ACTIVE_ACTIVE') return 'ACTIVE_ACTIVE'
    return side === this.state.source ? 'OUTBOUND' : 'INBOUND'
  }

  /** Whether what changes on a side goes to the other at present. */
  sends(side: SideName): boolean {
    const { suspended, storageFull, phase, schedule, mode } = this.state
    const { lostSince, isShutDown, paused, now } = this.#around
    if (suspended || storageFull !== undefined || isShutDown() || paused()) return false
    if (lostSince() !== undefined) return false
    if (phase === 'failedOver') return false
    const time = now()
    const governing = mode === 'ACTIVE_ACTIVE' ? side : this.state.source
    return !isOff(schedule[governing], time)
  }

  isPaused(tenantId: string): boolean {
    return this.state.members.find(({ id }) => id === tenantId)?.paused !== undefined
  }

  /** Whether clients cannot change the tenants of the link on a side. */
  isReadOnly(side: SideName): boolean {
    const { mode, phase, source } = this.state
    if (mode === 'ACTIVE_ACTIVE') return false
    if (phase === 'normal') return side !== source
    if (phase === 'failedOver') return side === source && this.#around.lostSince() === undefined
    return phase === 'completing' || side === source
  }

  /** The side whose clients are served by the other. */
  get replacedSide(): SideName | undefined {
    const { failedOverTo } = this.state
    return failedOverTo === undefined ? undefined : otherSide(failedOverTo)
  }

  statusAt(side: SideName): LinkStatus {
    const { state } = this
    const { mode, phase, source, storageFull } = state
    const around = this.#around
    const warning = (statusMessage: string): LinkStatus => ({ status: 'WARNING', statusMessage })
    const bad = (statusMessage: string): LinkStatus => ({ status: 'BAD', statusMessage })
    const passive = mode === 'ACTIVE_PASSIVE'
    if (phase === 'failedOver') return warning('Failed over')
    if (state.suspended || around.isShutDown()) return warning('Suspended by user')
    if (storageFull !== undefined)
      return warning(`${storageFull === side ? 'Local' : 'Remote'} storage full, link suspended`)
    const now = around.now()
    const lostSince = around.lostSince()
    if (lostSince !== undefined && now - lostSince >= around.connectivityTimeout(side) * 1000)
      return bad('Broken link')
    if (this.statistics[side].rates.errors >= highErrorRate) return bad('High error rate')
    const { since } = around.waiting(this, side)
    if (around.paused() && since !== undefined && now - since >= stalledAfter) return bad('Stalled link')
    if (phase === 'recovering') return warning(side === source ? 'Receiving data' : 'Recovering data')
    if (phase === 'completing') return warning(side === source ? 'Receiving data' : 'Completing recovery')
    if (isOff(state.schedule[passive ? source : side], now)) return warning('Scheduled off period')
    if (!passive) return { status: 'GOOD', statusMessage: 'Synchronizing data' }
    return { status: 'GOOD', statusMessage: side === source ? 'Sending data' : 'Receiving data' }
  }

  /** Everything that changed before this time is across, in both directions. */
  upToDateAsOf(): number {
    const times = (['primary', 'replica'] as const).map((side) => this.#around.waiting(this, side).since)
    return Math.min(this.#around.now(), ...times.filter((time) => time !== undefined))
  }

  /** Does what an administrator of a side asks for; refuses what does not go with the link's type or state. */
  act(action: LinkAction, side: SideName): void {
    const { state } = this
    const { mode, phase } = state
    const passive = mode === 'ACTIVE_PASSIVE'
    const now = this.#around.now()
    switch (action) {
      case 'suspend':
        this.#need(!state.suspended, 'The link is suspended already.')
        state.suspended = true
        break
      case 'resume':
        this.#need(state.suspended || state.storageFull !== undefined, 'The link is not suspended.')
        state.suspended = false
        state.storageFull = undefined
        break
      case 'failOver':
        this.#need(phase === 'normal', 'The link is failed over already.')
        this.#need(
          !passive || side !== state.source,
          'An outbound link fails over to its replica: ask there.',
        )
        this.failOver(side)
        break
      case 'failBack':
        this.#need(!passive, 'Only an active/active link fails back: begin the recovery.')
        this.#need(phase === 'failedOver', 'The link is not failed over.')
        this.#needPeer()
        this.#backToNormal()
        break
      case 'beginRecovery':
      case 'beginRecover':
        this.#needPassive(side)
        this.#need(phase === 'failedOver', 'The link is not failed over.')
        this.#needPeer()
        state.phase = 'recovering'
        break
      case 'completeRecovery':
        this.#needPassive(side)
        this.#need(phase === 'recovering', 'The link is not being recovered.')
        this.#needPeer()
        this.#complete(now)
        break
      case 'restore':
        this.#need(phase !== 'normal' || state.suspended, 'The other system has the link.')
        this.#needPeer()
        this.#around.resend(this, side)
    }
  }

  failOver(side: SideName): void {
    this.state.phase = 'failedOver'
    this.state.failedOverTo = side
  }

  /** Does what time has brought by now; says whether anything changed. */
  settle(): boolean {
    const { state } = this
    const { mode, phase, source } = state
    const { now, isUp, waiting } = this.#around
    const [time, lostSince] = [now(), this.#around.lostSince()]
    if (phase === 'normal' && lostSince !== undefined && !state.suspended) {
      const candidates: readonly SideName[] =
        mode === 'ACTIVE_ACTIVE' ? [source, otherSide(source)] : [otherSide(source)]
      for (const side of candidates) {
        const { autoFailover, autoFailoverMinutes } = state.failover[side]
        if (!autoFailover || !isUp(side) || time - lostSince < autoFailoverMinutes * minute) continue
        this.failOver(side)
        return true
      }
    }
    if (phase === 'recovering' && lostSince === undefined) {
      const { autoCompleteRecovery, autoCompleteRecoveryMinutes } = state.failover[otherSide(source)]
      if (autoCompleteRecovery && time - this.upToDateAsOf() < autoCompleteRecoveryMinutes * minute) {
        this.#complete(time)
        return true
      }
    }
    if (phase === 'completing' && lostSince === undefined) {
      const left = waiting(this, 'primary').count + waiting(this, 'replica').count
      if (left === 0 && time - (state.completingSince ?? time) >= this.#around.recoveryMs()) {
        this.#backToNormal()
        return true
      }
    }
    return false
  }

  /** When `settle` may have something to do if nothing else happens: epoch milliseconds. */
  get deadline(): number {
    const { phase, completingSince, failover } = this.state
    const lostSince = this.#around.lostSince()
    if (phase === 'normal' && lostSince !== undefined) {
      const waits = Object.values(failover).flatMap(({ autoFailover, autoFailoverMinutes }) =>
        autoFailover ? autoFailoverMinutes * minute : [],
      )
      return lostSince + Math.min(...waits)
    }
    if (phase === 'completing') return (completingSince ?? 0) + this.#around.recoveryMs()
    return phase === 'recovering' ? 0 : Infinity
  }

  #complete(now: number): void {
    this.state.phase = 'completing'
    this.state.completingSince = now
  }

  #backToNormal(): void {
    this.state.phase = 'normal'
    this.state.failedOverTo = undefined
    this.state.completingSince = undefined
  }

  #needPassive(side: SideName): void {
    this.#need(this.state.mode === 'ACTIVE_PASSIVE', 'An active/active link has no recovery: it fails back.')
    this.#need(side !== this.state.source, 'A recovery is led by the replica: ask there.')
  }

  #needPeer(): void {
    this.#need(this.#around.lostSince() === undefined, 'The other system cannot be reached.')
    this.#need(this.#around.certificatesShared(), 'The systems do not have the certificates of each other.')
  }

  #need(holds: boolean, message: string): void {
    if (!holds) throw new Refusal(this.#around.refusedAction, message)
  }
}
