import type { WebSocket } from '@fastify/websocket'
import type { Channel, EndReason } from './event-stream.ts'
import type { TailEvent, TailReader } from './reader.ts'

/** Bytes that wait in the socket, beside those that wait in the reader. */
const mostBuffered = 64 * 1024
/** Milliseconds for the other side to answer that the connection is closed. */
const patience = 2000

const codes: Readonly<Record<EndReason, readonly [code: number, reason: string]>> = {
  stopping: [1001, 'The service is stopping.'],
  expired: [1008, 'The token has expired.'],
  failed: [1011, 'The store could not be read.'],
}

/** Tells a WebSocket the events of a reader, in messages of JSON. Closing the socket closes the reader. */
export function tellSocket(reader: TailReader, socket: WebSocket, pingInterval: number): Channel {
  const isOpen = (): boolean => socket.readyState === socket.OPEN
  const pump = (): void => {
    while (isOpen() && socket.bufferedAmount < mostBuffered) {
      const event = reader.take()
      if (event === undefined) return
      socket.send(messageText(event), pump)
    }
  }
  const ping = setInterval(() => {
    if (isOpen() && socket.bufferedAmount < mostBuffered) socket.send('{"type":"ping"}')
  }, pingInterval)
  // Not by itself: who never reads could make it keep answers without end.
  socket.on('ping', (data) => {
    if (isOpen() && socket.bufferedAmount < mostBuffered) socket.pong(data)
  })
  socket.on('close', () => {
    clearInterval(ping)
    reader.close()
  })
  reader.onEvent = pump
  // A connection that breaks before the first entry can be resumed.
  socket.send(JSON.stringify({ type: 'ping', id: reader.beginning }))
  pump()
  return {
    end: (why) => {
      reader.close()
      socket.close(...codes[why])
      setTimeout(() => socket.terminate(), patience).unref()
    },
  }
}

function messageText(event: TailEvent): string {
  if (event.type === 'dropped') return JSON.stringify(event)
  return `{"type":"log","id":${JSON.stringify(event.id)},"log":${event.log}}`
}
