import type { Namespace } from '../namespace.ts'
import type { System } from '../system.ts'
import type { OutgoingLine } from './outgoing-line.ts'

/** The two systems of a pair, by the names that the control port has for them. */
export type SideName = 'primary' | 'replica'

export const sideNames: readonly SideName[] = ['primary', 'replica']

export function otherSide(side: SideName): SideName {
  return side === 'primary' ? 'replica' : 'primary'
}

/** A namespace on one of the systems. */
export interface Side {
  readonly name: SideName
  readonly system: System
  readonly namespace: Namespace
  readonly line: OutgoingLine
}

/** A namespace that is on both systems and on a link between them. */
export interface Channel {
  readonly linkId: string
  /** Where the link was made. */
  readonly source: SideName
  /** As configured: name and tenant, for example `n1.m`. */
  readonly name: string
  readonly primary: Side
  readonly replica: Side
}
