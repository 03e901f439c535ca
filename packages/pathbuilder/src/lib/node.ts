import { hash, randomBytes } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { threadId } from 'node:worker_threads'
import { PathBuilderError } from './errors.ts'
import { NameSource } from './name-source.ts'

/** What the names of a path builder carry in their node field. */
export type NodeKind = 'random' | 'mac'

let random: NameSource | undefined

/** The thread's source of names; all its path builders share it. */
export function nameSource(kind: NodeKind): NameSource {
  return kind === 'mac' ? macSource() : (random ??= new NameSource(randomNode()))
}

/**
 * 47 random bits for the node and 14 for the clock sequence keep threads, processes and machines apart that know
 * nothing of each other. The multicast bit says that it is no card's address (RFC 9562, 6.10).
 */
function randomNode(): { node: Uint8Array; clockSequence: number } {
  const bytes = randomBytes(8)
  bytes[0]! |= MULTICAST
  return { node: bytes.subarray(0, 6), clockSequence: bytes.readUInt16BE(6) & CLOCK_SEQUENCE }
}

const MAC_SOURCE = Symbol.for('@hcp/pathbuilder mac source')

/**
 * On `globalThis` rather than in this module: should two copies of the package be loaded into one thread, address and
 * clock sequence would be the same in both.
 */
function macSource(): NameSource {
  const shared = globalThis as { [MAC_SOURCE]?: NameSource }
  return (shared[MAC_SOURCE] ??= new NameSource({ node: macAddress(), clockSequence: threadClockSequence() }))
}

/** @returns The first address of a network card, preferring those that the manufacturer gave. */
export function macAddress(
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): Uint8Array {
  const addresses = Object.values(interfaces)
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, mac }) => !internal && mac !== '00:00:00:00:00:00')
    .map(({ mac }) => Buffer.from(mac.replaceAll(':', ''), 'hex'))
  const address = addresses.find(([first]) => (first! & LOCALLY_ADMINISTERED) === 0) ?? addresses[0]
  if (address === undefined) {
    throw new PathBuilderError(
      'PATHBUILDER_NODE',
      "no network card with an address found; use node: 'random'",
    )
  }
  return address
}

/**
 * A clock sequence of this thread's own. What it starts from is the same in all threads of the process and differs
 * between processes, thread numbers are never given twice: 16,384 threads in a row are kept apart for certain, two
 * processes with a probability of 16,383 in 16,384.
 */
export function threadClockSequence(thread: number = threadId): number {
  const start = hash('sha256', `${process.pid} ${performance.timeOrigin}`, 'buffer').readUInt16BE(0)
  return (start + thread) & CLOCK_SEQUENCE
}

/** Bits of the first byte of an address (IEEE 802). */
const MULTICAST = 0x01
const LOCALLY_ADMINISTERED = 0x02

/** The field has 14 bits. */
const CLOCK_SEQUENCE = 0x3fff
