import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { startTestService } from './service.testing.ts'

test('connections that were opened ahead of need do not hold up the end of the service', async () => {
  const { service, url } = await startTestService({ database: 'sqlite::memory:' })
  const accepted = once(service.app.server, 'connection')
  const socket = connect(Number(new URL(url).port))
  await accepted
  const gone = once(socket, 'close')
  await Promise.all([service.close(60_000), gone])
  expect(socket.destroyed).toBe(true)
})
