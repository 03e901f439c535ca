import { describe, expect, test } from 'vitest'
import { routeAccess } from './access.ts'
import { groupOf } from './groups.ts'
import { startTestService } from './service.testing.ts'
import { bearer } from './token.testing.ts'

describe('a service', () => {
  test('has every route of the table, and says of which group each is', async () => {
    await using running = await startTestService({ database: 'sqlite::memory:' })
    const { app } = running.service
    const missing = Object.keys(routeAccess).filter((route) => {
      const [method = '', url = ''] = route.split(' ')
      return !app.hasRoute({ method, url })
    })
    expect(missing).toEqual([])
    for (const [route, { group }] of Object.entries(routeAccess)) {
      expect(groupOf(route.split(' ')[1] ?? ''), route).toBe(group)
    }
    const answer = await fetch(`${running.url}/readyz`)
    expect([answer.status, await answer.json()]).toEqual([200, {}])
    const denied = await fetch(`${running.url}/logs`, { headers: bearer() })
    expect([denied.status, denied.statusText]).toEqual([403, 'authorization failed'])
  })
})
