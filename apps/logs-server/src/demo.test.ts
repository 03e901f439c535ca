import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startServer } from './server.testing.ts'

const program = fileURLToPath(new URL('demo.ts', import.meta.url))

test('the demonstration passes all of its checks, ends, and leaves nothing behind', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'logs-demo-test-'))
  try {
    await using demo = startServer(['--once'], program, { TMPDIR: temporary })
    const code = await demo.ended()
    const { stdout, stderr } = demo.output
    expect(stdout).not.toContain('FAILED')
    expect(stdout).toMatch(/\nPASSED: (\d+) of \1 checks hold\.\n$/)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(await readdir(temporary)).toEqual([])
  } finally {
    await rm(temporary, { recursive: true })
  }
}, 60_000)

test('a word that it does not know ends it with the usage', async () => {
  await using demo = startServer(['--twice'], program)
  expect(await demo.ended()).toBe(2)
  expect(demo.output.stderr).toContain('usage: npm start -- logs')
})
