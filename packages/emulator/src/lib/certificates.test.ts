import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuthority, loadAuthority } from './certificates.ts'
import type { CertificateAuthority, IssuedCertificate } from './certificates.ts'

let authority: CertificateAuthority
let directory: string

beforeAll(async () => {
  authority = await createAuthority('Test authority')
  directory = await mkdtemp(join(tmpdir(), 'hcp-certificates-'))
})

afterAll(() => rm(directory, { recursive: true }))

/** One handshake: resolves to 'ok' or to the code of the failure. */
async function handshake(issued: IssuedCertificate, ca: string, servername: string): Promise<string> {
  const server = createServer({ cert: issued.certificate, key: issued.key }, (socket) => socket.end())
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const named = /^[\d.:]+$/.test(servername) ? {} : { servername }
  const result = await new Promise<string>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, ca, ...named }, () => {
      socket.destroy()
      resolve('ok')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
  await new Promise((resolve) => server.close(resolve))
  return result
}

describe('a client that trusts the authority', () => {
  const names = ['*.hcp1.test', 'hcp1.test', '*.m.hcp1.test']

  test.each([
    ['m.hcp1.test', 'ok'],
    ['ADMIN.HCP1.test', 'ok'],
    ['hcp1.test', 'ok'],
    ['n1.m.hcp1.test', 'ok'],
    ['n1.other.hcp1.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['a.n1.m.hcp1.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['hcp2.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['127.0.0.1', 'ok'],
  ])('connects to %s: %s', async (servername, expected) => {
    const issued = await authority.issue({ names, addresses: ['127.0.0.1', '::1'] })
    expect(await handshake(issued, authority.certificate, servername)).toBe(expected)
  })

  test('refuses an expired certificate', async () => {
    const issued = await authority.issue({
      names,
      notBefore: new Date(Date.now() - 10 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    })
    expect(await handshake(issued, authority.certificate, 'm.hcp1.test')).toBe('CERT_HAS_EXPIRED')
  })

  test('refuses a certificate of another authority with the same name', async () => {
    const other = await createAuthority('Test authority')
    const issued = await other.issue({ names })
    expect(await handshake(issued, authority.certificate, 'm.hcp1.test')).not.toBe('ok')
  })

  test('accepts names longer than a common name can be', async () => {
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.test`
    const issued = await authority.issue({ names: [long] })
    expect(await handshake(issued, authority.certificate, long)).toBe('ok')
  })
})

test('carries the extensions that strict verifiers ask for', async () => {
  const issued = await authority.issue({ names: ['*.hcp1.test'] })
  const root = new X509Certificate(authority.certificate)
  const leaf = new X509Certificate(issued.certificate)
  expect(root.ca).toBe(true)
  expect(leaf.ca).toBe(false)
  expect(leaf.checkIssued(root)).toBe(true)
  expect(leaf.verify(root.publicKey)).toBe(true)
  expect(leaf.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
  const days = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / 86_400_000
  expect(days).toBeLessThanOrEqual(398)
})

test.each([
  [{ names: [] }, RangeError, /names/],
  [{ names: ['a.test'], addresses: ['no address'] }, TypeError, /no address/],
  [{ names: ['a.test'], notBefore: new Date(2_000), notAfter: new Date(1_000) }, RangeError, /notAfter/],
])('refuses %j', async (request, type, message) => {
  const error: unknown = await authority.issue(request).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(type)
  expect(String(error)).toMatch(message)
})

describe('a kept authority', () => {
  test('is made once and then stays the same, its key readable by the owner only', async () => {
    const folder = join(directory, 'kept', 'deep')
    const first = await loadAuthority(folder, 'Kept')
    const second = await loadAuthority(folder, 'Kept')
    expect(second.certificate).toBe(first.certificate)
    expect(await readFile(join(folder, 'ca.pem'), 'utf8')).toBe(first.certificate)
    expect((await stat(join(folder, 'ca-key.pem'))).mode & 0o777).toBe(0o600)
    const issued = await second.issue({ names: ['*.hcp1.test'] })
    expect(await handshake(issued, first.certificate, 'm.hcp1.test')).toBe('ok')
  })

  test('is made anew when its two files do not belong together', async () => {
    const folder = join(directory, 'mixed')
    const first = await loadAuthority(folder, 'Mixed')
    await writeFile(join(folder, 'ca.pem'), authority.certificate)
    const second = await loadAuthority(folder, 'Mixed')
    expect(second.certificate).not.toBe(first.certificate)
    const issued = await second.issue({ names: ['*.hcp1.test'] })
    expect(await handshake(issued, second.certificate, 'm.hcp1.test')).toBe('ok')
  })
})
