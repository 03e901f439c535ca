import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { HttpSink } from './http-sink.ts'
import { OperationRefusedError } from './operation-sink.ts'

const operation = { id: 'one', project_id: 'p', operation_type: 'x', started_at: 1, ended_at: null }

async function serve(
  status: number | undefined,
): Promise<{ url: string; seen: { request: IncomingMessage; body: string }[] }> {
  const seen: { request: IncomingMessage; body: string }[] = []
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ request, body })
      if (status !== undefined) response.writeHead(status).end('why not')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

function open(options: ConstructorParameters<typeof HttpSink>[0]): HttpSink {
  const sink = new HttpSink(options)
  onTestFinished(() => sink.close())
  return sink
}

test('a log is posted and patched under the URL given, with the token of the moment and times as instants', async () => {
  const { url, seen } = await serve(200)
  let asked = 0
  const sink = open({ url: `${url}/hcp/`, token: () => `token ${++asked}` })
  await sink.add(operation)
  await sink.change('a/b', { status: 'success', ended_at: 2 })
  expect(
    seen.map(({ request, body }) => [
      request.method,
      request.url,
      request.headers.authorization,
      JSON.parse(body) as unknown,
    ]),
  ).toEqual([
    [
      'POST',
      '/hcp/v2/operations',
      'Bearer token 1',
      { ...operation, started_at: '1970-01-01T00:00:00.000001Z' },
    ],
    [
      'PATCH',
      '/hcp/v2/operations/a%2Fb',
      'Bearer token 2',
      { status: 'success', ended_at: '1970-01-01T00:00:00.000002Z' },
    ],
  ])
})

test.each([
  [201, 'stored', 'stored'],
  [409, 'stored', 'later'],
  [400, 'never', 'never'],
  [413, 'never', 'never'],
  [422, 'never', 'never'],
  [404, 'later', 'never'],
  [401, 'later', 'later'],
  [403, 'later', 'later'],
  [429, 'later', 'later'],
  [302, 'later', 'later'],
  [500, 'later', 'later'],
  [503, 'later', 'later'],
])('an answer %i means: a log is %s, a change is %s', async (status, added, changed) => {
  const { url } = await serve(status)
  const sink = open({ url, token: 'hush' })
  const tell = async (work: Promise<void>): Promise<string> => {
    try {
      await work
      return 'stored'
    } catch (error) {
      expect(String(error)).toContain(`was answered with ${status}`)
      expect(String(error)).not.toContain('hush')
      if (!(error instanceof OperationRefusedError)) return 'later'
      expect(error.message).toContain('why not')
      return 'never'
    }
  }
  expect(await tell(sink.add(operation))).toBe(added)
  expect(await tell(sink.change('one', {}))).toBe(changed)
})

test('a service that does not answer is given up in time, to be tried again', async () => {
  const { url } = await serve(undefined)
  const error = await open({ url, token: 't', timeout: 50 })
    .add(operation)
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(Error)
  expect(error).not.toBeInstanceOf(OperationRefusedError)
})

test.each(['logs.example.com', 'ftp://logs.example.com', 'https://olga:hush@logs.example.com'])(
  'a URL that cannot be right is refused at once: %s',
  (url) => {
    expect(() => new HttpSink({ url, token: 't' })).toThrow(
      'url must be an http or https URL without a user name, such as https://logs.example.com',
    )
  },
)
