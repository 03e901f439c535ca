import type { ActiveLinkFault } from './link-faults.ts'
import type { LinkType } from './link.ts'
import type { ReplicationBehaviour, ReplicationPair } from './replication-pair.ts'
import type { SideName } from './side.ts'
import { sideNames } from './side.ts'

/** A link as one of its systems sees it. */
export interface LinkSummary {
  readonly type: LinkType
  readonly status: string
  readonly statusMessage: string
  /** Objects and directories that wait to be carried over to the other system. */
  readonly pending: number
}

/** How replication stands, as the control port's `GET /` says it. */
export interface ReplicationStatus extends Required<ReplicationBehaviour> {
  /** The two systems can reach each other. */
  readonly connected: boolean
  readonly faults: readonly ActiveLinkFault[]
  readonly links: readonly ({ readonly name: string } & Readonly<Record<SideName, LinkSummary>>)[]
}

export function replicationStatus(pair: ReplicationPair): ReplicationStatus {
  pair.settle()
  return {
    ...pair.behaviour,
    connected: pair.connected,
    faults: pair.faults.list(),
    links: pair.links.map((link) => {
      const [primary, replica] = sideNames.map((side): LinkSummary => ({
        type: link.typeAt(side),
        ...link.statusAt(side),
        pending: pair.waiting(link, side).count,
      }))
      return { name: link.state.name, primary: primary!, replica: replica! }
    }),
  }
}
