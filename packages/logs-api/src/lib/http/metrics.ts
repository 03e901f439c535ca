import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { Histogram, type Registry } from 'prom-client'

/** How long requests took: by method, pattern of the route, and status. */
export function requestHistogram(registry: Registry): Histogram<'method' | 'handler' | 'status'> {
  return new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Seconds from the head of a request to the end of its answer.',
    labelNames: ['method', 'handler', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers: [registry],
  })
}

/** A server that answers every GET with the metrics: `/metrics` by custom, and there is nothing else. */
export async function serveMetrics(registry: Registry, host: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
    } else {
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      )
    }
  })
  server.listen(port, host)
  await once(server, 'listening')
  return server
}
