import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { request } from 'undici'
import { expect, test } from 'vitest'
import type { ReadyLine } from './emulator.ts'
import { credentials, requestBytes } from './wire.testing.ts'

const mebibyte = 1024 * 1024
const size = 256 * mebibyte

/** Bytes of a run of 256 MiB, made as they are asked for. */
async function* content(): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += mebibyte) yield Buffer.alloc(mebibyte, `at ${at} `)
}

test.runIf(process.platform === 'linux')(
  'memory does not grow with an object, in, out or stuck',
  async () => {
    const cli = new URL('../cli.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [cli, '--nodes', '1', '--quiet'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
      const { ports } = JSON.parse(line) as ReadyLine
      const peak = async (): Promise<number> => {
        const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
        return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]) / 1024
      }
      const before = await peak()
      const url = `http://127.0.0.1:${ports.http}/rest/large`
      const headers = { host: 'n1.m.hcp1.test', authorization: credentials('n', 'n01') }
      const put = await request(url, { method: 'PUT', headers, body: Readable.from(content()) })
      expect(put.statusCode).toBe(201)

      // One that asks and does not read.
      const stuck = connect(ports.http, '127.0.0.1').pause()
      stuck.write(requestBytes({ path: '/rest/large' }))

      const digest = createHash('sha256')
      const got = await request(url, { headers })
      expect(got.headers['content-length']).toBe(String(size))
      for await (const chunk of got.body) digest.update(chunk as Buffer)
      expect(`SHA-256 ${digest.digest('hex').toUpperCase()}`).toBe(put.headers['x-hcp-hash'])
      const grown = (await peak()) - before
      expect(grown).toBeLessThan(100)
      stuck.destroy()
    } finally {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  },
)
