import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { bodyHash } from './content-hash.ts'
import { bareEtag, hasher, hashOf, namedHashes } from './hash.ts'

const md5 = '1deda6a3fe1cdde8832d2b6c8f71e3ef'

test.each<[string, Record<string, string | string[]>, readonly object[]]>([
  ['the namespace’s own', { 'x-hcp-hash': 'SHA-256 7C73A3' }, [{ scheme: 'SHA-256', hex: '7c73a3' }]],
  ['one spelt otherwise', { 'x-hcp-hash': ' sha-256 7c73A3 ' }, [{ scheme: 'SHA-256', hex: '7c73a3' }]],
  ['the ETag', { etag: `"${md5}"` }, [{ scheme: 'MD5', hex: md5 }]],
  ['an ETag without quotes', { etag: md5.toUpperCase() }, [{ scheme: 'MD5', hex: md5 }]],
  [
    'both',
    { 'x-hcp-hash': 'SHA-1 aa', etag: `"${md5}"` },
    [
      { scheme: 'SHA-1', hex: 'aa' },
      { scheme: 'MD5', hex: md5 },
    ],
  ],
  ['an ETag that is no MD5', { etag: `"${md5}-2"` }, []],
  ['half a quotation', { etag: `"${md5}` }, []],
  ['an annotation, whose ETag is that of its object', { etag: `"${md5}"`, 'x-hcp-type': 'annotation' }, []],
  ['a kind that nobody knows', { 'x-hcp-hash': 'BLAKE3 aa' }, []],
  ['no hexadecimal digits', { 'x-hcp-hash': 'SHA-256 zz' }, []],
  ['digits without a kind', { 'x-hcp-hash': 'aa' }, []],
  ['nothing', {}, []],
  ['a header that came twice', { 'x-hcp-hash': ['SHA-256 aa', 'SHA-256 bb'] }, []],
])('of the hashes that an answer names those count that can be computed: %s', (_, headers, expected) => {
  expect(namedHashes(headers)).toEqual(expected)
})

test.each(['MD5', 'SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'])(
  '%s is the same in one step and in many',
  (scheme) => {
    const bytes = Buffer.from('hello hcp\n')
    const expected = createHash(scheme.toLowerCase().replace('-', '')).update(bytes).digest('hex')
    expect(hashOf(scheme, bytes)).toBe(expected)
    expect(hasher(scheme)?.update(bytes).digest('hex')).toBe(expected)
  },
)

test.each([
  ['"a"', 'a'],
  ['a', 'a'],
  ['"', '"'],
  ['"a', '"a'],
  ['""', ''],
])('the ETag %s without its quotes is %s', (etag, bare) => {
  expect(bareEtag(etag)).toBe(bare)
})

test('a kind that nobody knows has no hash', () => {
  expect(hashOf('BLAKE3', new Uint8Array())).toBeUndefined()
  expect(hasher('constructor')).toBeUndefined()
})

test('a body is hashed as it would be sent, or not at all if that would use it up', async () => {
  const expected = { hex: createHash('sha256').update('grüße').digest('hex'), size: 7 }
  expect(await bodyHash('grüße', 'SHA-256')).toEqual(expected)
  expect(await bodyHash(() => ['grü', 'ße'], 'SHA-256')).toEqual(expected)
  expect(await bodyHash(['grü', 'ße'], 'SHA-256')).toBeUndefined()
  expect(await bodyHash('x', 'BLAKE3')).toBeUndefined()
  expect(await bodyHash(null, 'MD5')).toEqual({ hex: createHash('md5').digest('hex'), size: 0 })
  const reason = new Error('enough')
  await expect(bodyHash('x', 'MD5', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})
