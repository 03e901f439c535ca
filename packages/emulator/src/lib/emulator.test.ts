import { readFile } from 'node:fs/promises'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'
import { startEmulator } from '../index.ts'

test('stores, reads and deletes an object, on any node', async () => {
  await using hcp = await startEmulator()
  const { createHash } = await import('node:crypto')
  const headers = {
    host: `n1.m.${hcp.domain}`,
    authorization: `HCP ${Buffer.from('n').toString('base64')}:${createHash('md5').update('n01').digest('hex')}`,
  }
  const url = (node: number): string => `http://${hcp.nodes[node - 1]}:${hcp.ports.http}/rest/a/b.txt`
  const put = await request(url(1), { method: 'PUT', headers, body: 'hello hcp\n' })
  const get = await request(url(2), { headers })
  expect(await get.body.text()).toBe('hello hcp\n')
  const again = await request(url(1), { method: 'PUT', headers, body: 'hello hcp\n' })
  expect(again.statusCode).toBe(409)
  await again.body.dump()
  await hcp.stopNode(2)
  await expect(request(url(2), { headers })).rejects.toThrow(/REFUSED|other side/)
  await hcp.startNode(2)
  const gone = await request(url(2), { method: 'DELETE', headers })
  expect(gone.statusCode).toBe(200)
  await gone.body.dump()
  const head = await request(url(3), { method: 'HEAD', headers })
  const dispatcher = new Agent({
    connect: { ca: await readFile(hcp.caFile, 'utf8'), servername: `n1.m.${hcp.domain}` },
  })
  const tls = await request(`https://${hcp.nodes[0]}:${hcp.ports.https}/proc/statistics`, {
    headers,
    dispatcher,
  })
  await dispatcher.close()
})
