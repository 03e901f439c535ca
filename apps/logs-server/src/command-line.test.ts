import { expect, test } from 'vitest'
import { distribute } from './citus.ts'
import { readCommandLine } from './command-line.ts'
import { createLog } from './log.ts'

test('what is left out has its default', () => {
  expect(readCommandLine(['--config', 'c.json'])).toEqual({
    help: false,
    config: 'c.json',
    host: '127.0.0.1',
    port: 8181,
    database: undefined,
    citus: false,
  })
})

test('all of it', () => {
  const args = ['--config=c', '--host', '::', '--port', '0', '--database', 'sqlite:x', '--citus']
  expect(readCommandLine(args)).toMatchObject({ host: '::', port: 0, database: 'sqlite:x', citus: true })
})

test.each<[string[], string]>([
  [[], '--config is missing'],
  [['--config', 'c', '--port', 'http'], '--port takes a whole number'],
  [['--config', 'c', '--port', '65536'], '--port takes a whole number'],
  [['--config', 'c', '--host', ''], '--host takes'],
  [['--config', 'c', '--colour'], '--colour'],
  [['--config', 'c', 'postgres://u:hush@h/d'], 'There is an argument that belongs to no option.'],
])('%j is refused', (args, message) => {
  expect(() => readCommandLine(args)).toThrow(message)
})

test('Citus needs PostgreSQL', async () => {
  const config = {
    database: 'sqlite:x',
    auth: { issuer: 'i' },
    systems: [],
    exports: { directory: '.' },
    metricsPort: 0,
  }
  await expect(
    distribute(
      config,
      createLog([], () => {}),
    ),
  ).rejects.toMatchObject({ name: 'UsageError' })
})
