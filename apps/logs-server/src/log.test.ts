import { expect, test } from 'vitest'
import { createLog } from './log.ts'

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl'

function logged(secrets: readonly string[], facts: object, message: string): string {
  let line = ''
  createLog(secrets, (written) => (line += written)).info(facts, message)
  return line
}

test.each<[string, object, string]>([
  ['a field of that name', { password: 'pw-1', nested: { Token: 'pw-1', list: [{ secret: 'pw-1' }] } }, ''],
  ['the text of an error', { err: new Error('connect to postgres://user:pw-1@host/x failed') }, ''],
  ['the message', {}, 'the password is pw-1'],
  ['a URL', { reason: 'see postgres://user:pw%2D1@host/x' }, ''],
  ['a header', { headers: { authorization: 'Bearer pw-1', 'x-auth-token': 'pw-1' } }, ''],
  ['a token', { url: `/v2/logs?token=${token}`, said: `Bearer ${token}` }, token],
])('no secret is written: %s', (_, facts, message) => {
  const line = logged(['pw-1'], facts, message)
  expect(line).not.toMatch(/pw-1|pw%2D1|eyJ/)
  expect(line).toContain('***')
})

test('a short secret makes no line unreadable', () => {
  const line = logged(['3', '"', 'level'], { count: 3, said: 'level "3"' }, 'm')
  expect(JSON.parse(line)).toMatchObject({ level: 'info', count: 3, said: '*** *********' })
})

test('of two secrets the longer one goes as a whole', () => {
  expect(logged(['abc', 'abcdef'], {}, 'x abcdef')).toContain('"msg":"x ***"')
})
