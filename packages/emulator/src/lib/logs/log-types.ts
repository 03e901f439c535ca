/** What a package has of General nodes, in the order in which HCP names them. */
export const logTypes = ['ACCESS', 'SYSTEM', 'SERVICE', 'APPLICATION'] as const

export type LogType = (typeof logTypes)[number]

/** What is to be downloaded of a package. */
export interface LogSelection {
  /** Numbers of General nodes. */
  readonly nodes: readonly number[]
  /** Names of S Series nodes. */
  readonly sNodes: readonly string[]
  /** Of the General nodes; S Series nodes give all they have. */
  readonly content: readonly LogType[]
}

/** A General node as the logs name it. */
export interface LogNode {
  /** Counted from 1, as everywhere in the emulator. */
  readonly node: number
  readonly up: boolean
}

/** A text that somebody wrote into the internal log. */
export interface LogMark {
  /** Epoch milliseconds. */
  readonly time: number
  readonly user: string
  readonly text: string
}

/** The back-end network of an emulated system has addresses from 101 on; each system has such a network of its own. */
const firstNumber = 101
const backEnd = '172.21.150'

/** The number of a General node in packages and requests for them: the last part of its back-end address. */
export function logNodeNumber(node: number): number {
  return firstNumber - 1 + node
}

export function backEndAddress(node: number): string {
  return `${backEnd}.${logNodeNumber(node)}`
}
