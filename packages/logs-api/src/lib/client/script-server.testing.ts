import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Asked {
  readonly method: string
  /** With query. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type Script = (
  asked: Asked,
  answer: ServerResponse,
  /** From 0 on. */
  number: number,
) => void | Promise<void>

/** A server that says what the test wants, and remembers what it was asked. */
export interface ScriptServer extends AsyncDisposable {
  readonly url: string
  readonly asked: Asked[]
}

export async function scriptServer(script: Script): Promise<ScriptServer> {
  const asked: Asked[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const number = asked.length
    const entry = { method: request.method!, url: request.url!, headers: request.headers, body: '' }
    asked.push(entry)
    try {
      for await (const chunk of request) entry.body += String(chunk)
    } catch {
      return
    }
    await script(entry, response, number)
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function sayJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}
