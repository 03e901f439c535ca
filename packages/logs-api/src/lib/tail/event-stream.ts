import { Readable } from 'node:stream'
import type { TailEvent, TailReader } from './reader.ts'

/** A reader's events on their way to it, in some protocol. */
export interface Channel {
  /** @param why A word of the end for those whose protocol has one. */
  end(why: EndReason): void
}

export type EndReason = 'stopping' | 'expired' | 'failed'

/** Characters that wait in the stream, beside those that wait in the reader. */
const highWaterMark = 64 * 1024

/** The events of a reader as server-sent events. Closing the stream closes the reader. */
export function eventStream(
  reader: TailReader,
  pingInterval: number,
): Channel & { readonly stream: Readable } {
  const state = { wanted: false, ended: false }
  const push = (text: string): void => {
    state.wanted = stream.push(text)
  }
  const pump = (): void => {
    while (state.wanted && !state.ended) {
      const event = reader.take()
      if (event === undefined) return
      push(eventText(event))
    }
  }
  const stream = new Readable({
    highWaterMark,
    read: () => {
      state.wanted = true
      pump()
    },
    destroy: (error, callback) => {
      state.ended = true
      clearInterval(ping)
      reader.close()
      callback(error)
    },
  })
  const ping = setInterval(() => {
    if (state.wanted && !state.ended) push('event: ping\ndata: {}\n\n')
  }, pingInterval)
  reader.onEvent = pump
  // So that the head of the answer goes out, and a connection that breaks before the first entry can be resumed.
  const id = reader.beginning === undefined ? '' : `id: ${reader.beginning}\n`
  stream.push(`event: ping\n${id}data: {}\n\n`)
  return {
    stream,
    end: () => {
      if (state.ended) return
      state.ended = true
      clearInterval(ping)
      reader.close()
      stream.push(null)
    },
  }
}

function eventText(event: TailEvent): string {
  if (event.type === 'dropped') return `event: dropped\ndata: {"count":${event.count}}\n\n`
  return `event: log\nid: ${event.id}\ndata: ${event.log}\n\n`
}
