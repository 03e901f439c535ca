import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { ReadableStream } from 'node:stream/web'
import { EventSourceParserStream, type EventSourceMessage } from 'eventsource-parser/stream'
import { WebSocket } from 'ws'

export interface Told {
  readonly type: string
  readonly id: string | undefined
  /** Of `log` the entry, of `dropped` the count. */
  readonly data: { readonly [field: string]: unknown; readonly log_id: string; readonly data: string }
}

export interface TestTail extends AsyncDisposable {
  /** The id of the sign of life that comes first. */
  sign(): Promise<string | undefined>
  /** The next event that is no ping. Undefined: the tail has ended. */
  next(): Promise<Told | undefined>
  /** The texts of the next entries. */
  texts(count: number): Promise<string[]>
}

/** Reads the tail as server-sent events. Not by `fetch`: when it is left, that opens a connection that nobody uses. */
export async function readTail(url: string, headers: Record<string, string>, query = ''): Promise<TestTail> {
  const request = httpRequest(`${url}/v2/logs/tail${query}`, { headers, agent: false }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${await text(response)}`)
  const parsed = (Readable.toWeb(response) as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
  const events: AsyncIterator<EventSourceMessage> = parsed[Symbol.asyncIterator]()
  return testTail(
    async () => {
      const { value, done } = await events.next()
      if (done === true) return undefined
      const { event = '', id, data } = value
      return { type: event, id, data: JSON.parse(data) as Told['data'] }
    },
    async () => {
      await events.return?.()
      request.destroy()
    },
  )
}

/** Reads the tail over WebSocket. */
export async function readSocket(
  url: string,
  headers: Record<string, string>,
  query = '',
): Promise<TestTail> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v2/logs/tail${query}`, { headers })
  const told: Told[] = []
  let wake = (): void => {}
  socket.on('message', (text: Buffer) => {
    const { type, id, log, count } = JSON.parse(text.toString()) as Record<string, unknown>
    told.push({ type, id, data: log ?? { count } } as Told)
    wake()
  })
  socket.on('close', () => wake())
  await once(socket, 'open')
  return testTail(
    async () => {
      while (told.length === 0) {
        if (socket.readyState === WebSocket.CLOSED) return undefined
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return told.shift()
    },
    async () => {
      if (socket.readyState === WebSocket.CLOSED) return
      socket.close()
      await once(socket, 'close')
    },
  )
}

function testTail(read: () => Promise<Told | undefined>, leave: () => Promise<void>): TestTail {
  const next = async (): Promise<Told | undefined> => {
    for (;;) {
      const told = await read()
      if (told?.type !== 'ping') return told
    }
  }
  return {
    sign: async () => {
      const told = await read()
      if (told?.type !== 'ping') throw new Error(`The tail does not begin with a ping: ${told?.type}`)
      return told.id
    },
    next,
    texts: async (count) => {
      const texts: string[] = []
      while (texts.length < count) {
        const told = await next()
        if (told === undefined) throw new Error(`The tail ended after ${texts.length} of ${count} entries.`)
        texts.push(told.type === 'log' ? told.data.data : told.type)
      }
      return texts
    },
    [Symbol.asyncDispose]: leave,
  }
}
