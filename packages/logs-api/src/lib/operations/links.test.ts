import { expect, test } from 'vitest'
import { absoluteUrl } from './links.ts'

const socket = { localAddress: '10.1.2.3', localPort: 8181 } as never

test.each([
  ['logs.example', 'https://logs.example/v2'],
  ['logs.example:8443', 'https://logs.example:8443/v2'],
  ['[::1]:80', 'https://[::1]:80/v2'],
  // HTTP/1.0.
  ['', 'https://10.1.2.3:8181/v2'],
  [undefined, 'https://10.1.2.3:8181/v2'],
  ['e"v<il>', 'https://10.1.2.3:8181/v2'],
  ['user@evil.example', 'https://10.1.2.3:8181/v2'],
  ['evil.example/x?', 'https://10.1.2.3:8181/v2'],
])('links name the host that was asked, if %s is one, else the address that was', (host, url) => {
  const request = { protocol: 'https', host: host as string, socket } as const
  expect(absoluteUrl({ linkBase: undefined }, request, '/v2')).toBe(url)
  expect(absoluteUrl({ linkBase: 'http://front/logs/' }, request, '/v2')).toBe('http://front/logs/v2')
})

test('an address of IPv6 is put in brackets', () => {
  const request = {
    protocol: 'http',
    host: '',
    socket: { localAddress: '::1', localPort: 1 } as never,
  } as const
  expect(absoluteUrl({ linkBase: undefined }, request, '/v2')).toBe('http://[::1]:1/v2')
})
