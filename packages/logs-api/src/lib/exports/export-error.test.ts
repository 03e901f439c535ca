import { LogPackageError, LogsFileError, LogsLostError } from '@hcp/mapi-logs'
import { expect, test } from 'vitest'
import { busyError, exportError, mayHaveBeenDone } from './export-error.ts'

const coded = (code: string, more: object = {}): Error =>
  Object.assign(new Error('secret /home/x'), { code, ...more })

test.each([
  ['a full disk', coded('ENOSPC', { syscall: 'write' }), '0507', 'no room left'],
  [
    'a full disk at a download',
    new LogsFileError('/x', 'system', 'm', coded('ENOSPC')),
    '0507',
    'no room left',
  ],
  ['a disk that cannot be written', coded('EACCES', { syscall: 'open' }), '0508', 'cannot write'],
  ['a package that leads out', new LogPackageError('a', 'name', 'it leads out'), '0502', 'it leads out'],
  ['a package that is gone twice', new LogsLostError('It is gone.'), '0502', 'It is gone.'],
  [
    'a refusal of HCP',
    coded('HCP_RESPONSE', { status: 400, reason: 'no such node' }),
    '0502',
    'no such node',
  ],
  ['an HCP that is not there', coded('HCP_CONNECT'), '0503', 'HCP_CONNECT'],
  ['what nobody foresaw', new Error('secret'), '0500', 'not foreseen'],
])('%s is told in a whole sentence, without what is not for callers', (_name, error, code, words) => {
  const told = exportError(error, 'fetch')
  expect(told.error_code).toBe(`HcpLogs.${code}`)
  expect(told.error_msg).toContain(words)
  expect(told.error_msg).toMatch(/\.$/)
  expect(told.error_msg).not.toContain('secret')
})

test('the namespace is named where it is the one that failed', () => {
  expect(exportError(coded('HCP_RESPONSE', { status: 503 }), 'store')).toMatchObject({
    error_code: 'HcpLogs.0509',
  })
  expect(exportError(coded('HCP_TIMEOUT'), 'store').error_msg).toContain('namespace')
})

test('how long HCP was busy is told', () => {
  expect(busyError(6 * 3_600_000).error_msg).toContain('360 minutes')
})

test.each([
  [new LogsLostError('gone'), false],
  [new TypeError('wrong'), false],
  [coded('HCP_CONNECT', { sent: false }), false],
  [coded('HCP_SOCKET', { sent: true }), true],
  [coded('HCP_RESPONSE', { status: 403, sent: true }), false],
  [coded('HCP_RESPONSE', { status: 500, sent: true }), true],
  [new Error('who knows'), true],
])('whether %s leaves open that HCP did it: %j', (error, open) => {
  expect(mayHaveBeenDone(error)).toBe(open)
})
