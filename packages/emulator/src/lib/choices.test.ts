import { expect, test } from 'vitest'
import type { Choices } from './choices.ts'
import { defaultChoices } from './choices.ts'
import { startEmulator } from './emulator.ts'
import type { WireAnswer, WireRequest } from './wire.testing.ts'
import { ask } from './wire.testing.ts'

type Case = readonly [Partial<Choices>, WireRequest, (answer: WireAnswer) => unknown, unknown, unknown]

const path = '/rest/a.txt'
/** Those that take more than one request are tried beside what they are about. */
const elsewhere: readonly string[] = [
  'copiedVersion',
  'missingAcl',
  'writeStoresAcl',
  'foreignCopySource',
  'deleteOldAfterRetention',
  'leaveClassAfterRetention',
  'refusedChange',
  'versionOrder',
]

const cases: readonly Case[] = [
  [{ errorBody: 'html' }, { path: '/rest/none' }, ({ text }) => text.includes('404 Not Found'), false, true],
  [
    { identityEncoding: 'refused' },
    { path, headers: { 'Accept-Encoding': 'identity' } },
    ({ status }) => status,
    200,
    406,
  ],
  [
    { putTimeHeader: 'X-HCP-VersionCreateTimeMilliseconds' },
    { method: 'PUT', path: '/rest/b', body: 'x' },
    ({ headers }) => 'x-hcp-versioncreatetimemilliseconds' in headers,
    false,
    true,
  ],
  [{ serverHeader: false }, { path }, ({ headers }) => headers['server'], 'HCP V9.6.0.142', undefined],
  [
    { contentTypeFromPut: true },
    { path },
    ({ headers }) => headers['content-type'],
    'text/plain',
    'image/png',
  ],
  [
    { emptyAnnotationsHeader: false },
    { path },
    ({ headers }) => headers['x-hcp-custommetadataannotations'],
    '',
    undefined,
  ],
  [
    { labeledHoldHeaders: 'always' },
    { path },
    ({ headers }) => headers['x-hcp-labelretentionhold-labels'],
    undefined,
    '[]',
  ],
  [{ unknownNamespace: 400 }, { host: 'n9.m.hcp1.test' }, ({ status }) => status, 403, 400],
  [
    { wholeObjectWithoutAnnotation: 200 },
    { path: `${path}?type=whole-object` },
    ({ status }) => status,
    404,
    200,
  ],
  [
    { annotationHash: false },
    { method: 'PUT', path: `${path}?type=custom-metadata`, body: '<a/>' },
    ({ headers }) => 'x-hcp-hash' in headers,
    true,
    false,
  ],
]

test.each(cases)('%j', async (choices, request, look, usual, other) => {
  for (const [given, expected] of [
    [{}, usual],
    [choices, other],
  ] as const) {
    await using hcp = await startEmulator({ nodes: 1, choices: given })
    await ask(hcp, { method: 'PUT', path, body: 'x', headers: { 'Content-Type': 'image/png' } })
    expect(look(await ask(hcp, request))).toBe(expected)
  }
})

test('every choice is tried above', () => {
  expect([...elsewhere, ...cases.flatMap(([choices]) => Object.keys(choices))].toSorted()).toEqual(
    Object.keys(defaultChoices).toSorted(),
  )
})

test('another release is another version', async () => {
  await using hcp = await startEmulator({ nodes: 1, release: '8.2.1.11' })
  const { headers } = await ask(hcp, {})
  expect(headers).toMatchObject({ server: 'HCP V8.2.1.11', 'x-hcp-softwareversion': '8.2.1.11' })
})
