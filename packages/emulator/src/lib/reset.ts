import type { Socket } from 'node:net'

/**
 * Ends a TCP connection with RST and nothing else. `resetAndDestroy()` closes its side first, so that the peer may see
 * an orderly end before it sees the reset; the mark is what that method sets for `destroy()` to act on.
 */
export function reset(socket: Socket): void {
  Object.assign(socket, { resetAndClosing: true }).destroy()
}
