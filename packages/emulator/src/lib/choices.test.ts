import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Choices } from './choices.ts'
import { defaultChoices } from './choices.ts'
import type { EmulatorConfig } from './config.ts'
import { validateConfig } from './config.ts'
import { startEmulator } from './emulator.ts'
import type { WireAnswer, WireRequest } from './wire.testing.ts'
import { ask, credentials } from './wire.testing.ts'

type Case = readonly [Partial<Choices>, WireRequest, (answer: WireAnswer) => unknown, unknown, unknown]

const path = '/rest/a.txt'
const n2 = 'n2.m.hcp1.test'
/** Those that take more than one request are tried beside what they are about. */
const elsewhere: readonly string[] = [
  'concurrentVersions',
  'copiedVersion',
  'missingAcl',
  'writeStoresAcl',
  'foreignCopySource',
  'deleteOldAfterRetention',
  'leaveClassAfterRetention',
  'refusedChange',
  'versionOrder',
  'collisions',
  'refusedAction',
  'synchronizedCertificates',
  'logPreparationMs',
  'logArchives',
  'newNamespaceHttps',
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
  [
    { headPermission: 'browse' },
    { method: 'HEAD', path, authorization: credentials('looker', 'l01') },
    ({ status }) => status,
    403,
    200,
  ],
  [
    { multipleRanges: 'refused' },
    { path, headers: { Range: 'bytes=0-0,0-0' } },
    ({ status }) => status,
    200,
    416,
  ],
  [
    { annotationConditions: 'refused' },
    { method: 'PUT', path: `${path}?type=custom-metadata`, headers: { 'If-Match': '"x"' }, body: '<a/>' },
    ({ status }) => status,
    201,
    400,
  ],
  [
    { postConditions: 'refused' },
    { method: 'POST', path, headers: { 'If-Match': '"x"' }, body: 'index=true' },
    ({ status }) => status,
    200,
    400,
  ],
  [
    { smallAnnotations: 'always' },
    { method: 'PUT', path: `${path}?type=custom-metadata&annotation=a`, body: 'x'.repeat(1024 ** 2 + 1) },
    ({ status }) => status,
    201,
    413,
  ],
  [
    { reservedName: 403 },
    { method: 'PUT', path: '/rest/.directory-metadata', body: 'x' },
    ({ status }) => status,
    400,
    403,
  ],
  [
    { deletedVersion: 404 },
    { path: '/rest/d?version=@9999999999999', host: n2 },
    ({ status }) => status,
    204,
    404,
  ],
  [
    { inheritAnnotations: false },
    { path: '/rest/v', host: n2 },
    ({ headers }) => headers['x-hcp-custommetadataannotations'],
    'a;4',
    '',
  ],
  [
    { errorMessages: 'always' },
    { method: 'PUT', path, body: 'x' },
    ({ status, headers }) => `${status} ${'x-hcp-errormessage' in headers}`,
    '409 false',
    '409 true',
  ],
  [
    { browserRedirect: true },
    {
      path: '/rest/a%20b?version=1',
      authorization: null,
      headers: { Accept: 'text/html,*/*', 'User-Agent': 'Mozilla/5.0' },
    },
    ({ status, headers }) => `${status} ${headers['location']}`,
    '403 undefined',
    '302 /browser/a%20b?version=1',
  ],
]

const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [{ name: 'n1' }, { name: 'n2', versioning: true }],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'looker', password: 'l01', permissions: ['browse'] },
      ],
    },
  ],
}

/** An object; one with versions and an annotation; one that is deleted. */
const content: readonly WireRequest[] = [
  { method: 'PUT', path, body: 'x', headers: { 'Content-Type': 'image/png' } },
  { method: 'PUT', path: '/rest/v', host: n2, body: 'one' },
  { method: 'PUT', path: '/rest/v?type=custom-metadata&annotation=a', host: n2, body: '<a/>' },
  { method: 'PUT', path: '/rest/v', host: n2, body: 'two' },
  { method: 'PUT', path: '/rest/d', host: n2, body: 'one' },
  { method: 'DELETE', path: '/rest/d', host: n2 },
]

test.each(cases)('%j', async (choices, request, look, usual, other) => {
  for (const [given, expected] of [
    [{}, usual],
    [choices, other],
  ] as const) {
    await using hcp = await startEmulator({ nodes: 1, config, choices: given })
    for (const each of content) expect((await ask(hcp, each)).status).toBeLessThan(300)
    expect(look(await ask(hcp, request))).toBe(expected)
  }
})

test('a configuration makes choices too, and options go before it', async () => {
  const chosen = { ...config, choices: { unknownNamespace: 400, serverHeader: false } as const }
  await using hcp = await startEmulator({ nodes: 1, config: chosen, choices: { serverHeader: true } })
  const { status, headers } = await ask(hcp, { host: 'n9.m.hcp1.test' })
  expect(status).toBe(400)
  expect(headers).toHaveProperty('server')
})

test.each<[object, string]>([
  [{ colour: 'red' }, 'choices.colour: is no field of the configuration'],
  [{ unknownNamespace: 500 }, 'choices.unknownNamespace: must be one of 403, 400'],
  [{ serverHeader: 'no' }, 'choices.serverHeader: must be boolean'],
])('%j is refused', async (choices, message) => {
  expect(() => validateConfig({ tenants: [], choices })).toThrow(new TypeError(message))
  if ('colour' in choices) return
  await expect(startEmulator({ nodes: 1, choices })).rejects.toThrow(new TypeError(message))
})

test('the schema of the configuration knows every choice and its default', () => {
  expect(validateConfig({ tenants: [] }).choices).toEqual(defaultChoices)
})

test('the page on choices names every one, with its values', async () => {
  const page = await readFile(new URL('../../docs/choices.md', import.meta.url), 'utf8')
  const named = new Map(
    Array.from(page.matchAll(/`(\w+): ([^`"{}]+)` +\|$/gm), ([, name, values]) => [
      name!,
      values!.split(', '),
    ]),
  )
  expect([...named.keys()].toSorted()).toEqual(Object.keys(defaultChoices).toSorted())
  for (const [name, value] of Object.entries(defaultChoices)) {
    expect([name, named.get(name)?.[0]]).toEqual([name, String(value)])
  }
  for (const [choices] of cases) {
    for (const [name, value] of Object.entries(choices)) expect(named.get(name)).toContain(String(value))
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
