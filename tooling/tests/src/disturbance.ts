import type { Emulator } from '@hcp/emulator'

/** A small generator of its own, so that a failure can be repeated from the seed that is printed with it. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/**
 * Makes four nodes and the DNS fail at random until it is over, and then whole again.
 *
 * @param readable Content below this path may be damaged on its way to the reader: whoever reads there compares hashes.
 * @returns How many faults there were.
 */
export async function disturb(
  hcp: Emulator,
  random: () => number,
  over: () => boolean,
  readable: string,
): Promise<number> {
  let count = 0
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  while (!over()) {
    count++
    const node = 1 + Math.floor(random() * 4)
    switch (Math.floor(random() * 8)) {
      case 0:
        await hcp.stopNode(node)
        await pause(20 + random() * 100)
        await hcp.startNode(node)
        break
      case 1:
        hcp.setDns({ mode: one(['silent', 'servfail', 'empty', 'garbage', 'ok'] as const) })
        break
      case 2:
        hcp.addFault({ kind: 'status', status: one([500, 503, 502]), node, count: 3, retryAfter: 0 })
        break
      case 3:
        hcp.addFault({
          kind: 'truncate',
          when: 'body',
          afterBytes: Math.floor(random() * 60_000),
          node,
          count: 3,
        })
        break
      case 4:
        hcp.addFault({ kind: 'delay', ms: Math.floor(random() * 80), node, count: 5 })
        break
      case 5:
        // Damaged on the way to the reader. Damage on the way in is stored, and only seen by who compares hashes then.
        hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET', path: readable, node, count: 2 })
        break
      case 6:
        hcp.addFault({ kind: 'garbage', when: one(['connect', 'beforeHead'] as const), node, count: 2 })
        break
      default:
        hcp.addFault({
          kind: one(['reset', 'hang'] as const),
          when: one(['connect', 'beforeHead', 'afterHead', 'body'] as const),
          node,
          count: 2,
        })
    }
    await pause(random() * 30)
  }
  hcp.setDns({ mode: 'ok' })
  await hcp.clearFaults()
  for (let node = 1; node <= 4; node++) await hcp.startNode(node)
  return count
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
