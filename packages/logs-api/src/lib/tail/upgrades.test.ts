import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestService, type TestService } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'

let started: TestService
beforeAll(async () => {
  started = await startTestService({ database: 'sqlite::memory:' })
})
afterAll(async () => {
  await started[Symbol.asyncDispose]()
})

const { authorization } = bearer({ roles: ['admin'] })

/** Sends each text when the answer to the one before is as it has to be; gives all that came, up to the end where that is waited for. */
async function exchange(...steps: readonly (readonly [text: string, answer?: RegExp])[]): Promise<string> {
  const socket = connect(Number(new URL(started.url).port), '127.0.0.1').setEncoding('utf8')
  const left = [...steps]
  let all = ''
  let answer = ''
  socket.write(left[0]?.[0] ?? '')
  for await (const chunk of socket as AsyncIterable<string>) {
    all += chunk
    answer += chunk
    if (left[0]?.[1]?.test(answer) !== true) continue
    left.shift()
    if (left.length === 0) break
    answer = ''
    socket.write(left[0]?.[0] ?? '')
  }
  socket.destroy()
  return all
}

test.each(['h2c', 'websocket'])(
  'a client that offers %s for another route is answered by HTTP, body and further requests included',
  async (protocol) => {
    const offer = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n`
    const body = '{"data":"offered"}'
    const post = `POST /v2/logs/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n${offer}Content-Length: ${body.length}\r\n\r\n${body}`
    const get = `GET /healthz HTTP/1.1\r\nHost: x\r\n${offer}\r\n`
    const answer = await exchange([post, /\[\]\}$/], [get, /\r\n\r\n\{\}/])
    expect(answer).toContain('{"accepted":1,"rejected":0,"errors":[]}')
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
  },
)

test('who is refused a WebSocket is told why, and the connection ends', async () => {
  const offer =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
  const ended = once(started.service.app.server, 'connection').then(async ([socket]) =>
    once(socket as NodeJS.EventEmitter, 'close'),
  )
  const answer = await exchange([`GET /v2/logs/tail HTTP/1.1\r\nHost: x\r\n${offer}\r\n`])
  expect(answer).toMatch(/^HTTP\/1\.1 401 /)
  expect(answer).toContain('"status":401')
  await ended
})
