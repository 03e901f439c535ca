import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/**
 * Lets the listeners that a server has for requests to change the protocol see those that ask for a WebSocket at `path`, and no others. Clients
 * that offer something else, such as HTTP/2 without TLS, get their request answered as if they had not, its body included.
 * @returns Whether a request came that way.
 */
export function onlyWebSocketsAt(server: Server, path: string): (request: IncomingMessage) => boolean {
  const upgrading = new WeakSet<IncomingMessage>()
  const listeners = server.listeners('upgrade') as UpgradeListener[]
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { method, url = '', headers } = request
    const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket'
    if (isWebSocket && method === 'GET' && url.split('?', 1)[0] === path) {
      upgrading.add(request)
      for (const listener of listeners) listener(request, socket, head)
      return
    }
    socket.unshift(Buffer.concat([headWithoutUpgrade(request), head]))
    server.emit('connection', socket)
  })
  return (request) => upgrading.has(request)
}

function headWithoutUpgrade({ method, url, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (/^(?:connection|upgrade|http2-settings)$/i.test(name)) continue
    lines.push(`${name}: ${rawHeaders[index + 1]}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
