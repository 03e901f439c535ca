import { createServer, type RequestListener } from 'node:http'
import { once } from 'node:events'
import { AnonymousAuthorization } from '@hcp/auth'
import { Connection, type ConnectionOptions, Target } from '@hcp/connection'
import { ObjectRequests } from '../src/lib/object-requests.ts'
import { quick } from './emulated.ts'

export interface Answering extends AsyncDisposable {
  readonly port: number
  readonly requests: ObjectRequests
}

/** A server that answers as a test says, for what no HCP would say, or only another release. */
export async function answering(
  listener: RequestListener,
  options: ConnectionOptions = quick,
): Promise<Answering> {
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  const connection = new Connection(
    new Target('127.0.0.1', { port, tls: false, authorization: new AnonymousAuthorization() }),
    options,
  )
  return {
    port,
    requests: new ObjectRequests(connection),
    [Symbol.asyncDispose]: async () => {
      await connection.destroy()
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Answers every request with this document. */
export const answeringXml = (
  document: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answering> =>
  answering((request, response) => {
    request.resume()
    response.writeHead(200, { 'Content-Type': 'text/xml', ...headers }).end(document)
  })
