import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmulatorConfig } from './config.ts'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireAnswer, WireRequest } from './wire.testing.ts'
import { ask, credentials, requestBytes, statusOf, Wire } from './wire.testing.ts'

// The catalogue of status codes in Hitachi's documents, a row for each condition. What is about lists and ranges of
// versions, changes of retention and labeled holds stands in the tests of these.

const tag = '"1deda6a3fe1cdde8832d2b6c8f71e3ef"'
const past = 'Wed, 01 Jan 2025 00:00:00 GMT'
const future = 'Fri, 01 Jan 2027 00:00:00 GMT'
const acl = '<accessControlList/>'
const grant =
  '<accessControlList><grant><grantee><type>user</type><name>n</name></grantee>' +
  '<permissions><permission>READ</permission></permissions></grant></accessControlList>'

const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        { name: 'n1', aclUsage: 'ENFORCED' },
        { name: 'n2', versioning: true, aclUsage: 'ENFORCED' },
        { name: 'xml', checkXml: true },
        { name: 'small', quotaBytes: 100 },
        { name: 'huge', quotaBytes: 2 ** 52 },
        { name: 'none', annotationsUnderRetention: 'NONE' },
        { name: 'strict', retentionMode: 'compliance' },
        { name: 'anyone', anonymousPermissions: ['read'] },
        { name: 'closed', anonymousPermissions: ['read'], authenticationRequired: true },
        { name: 'tls', http: false },
        { name: 'classes', retentionClasses: [{ name: 'TAX', value: 'A+10y' }] },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'bare', password: 'b01', permissions: [] },
        { user: 'browse', password: 'p', permissions: ['browse'] },
        { user: 'read', password: 'p', permissions: ['read'] },
        { user: 'write', password: 'p', permissions: ['write'] },
        { user: 'readAcl', password: 'p', permissions: ['readAcl'] },
        { user: 'writeAcl', password: 'p', permissions: ['read', 'writeAcl'] },
        { user: 'delete', password: 'p', permissions: ['delete'] },
        { user: 'purge', password: 'p', permissions: ['purge'] },
        { user: 'changeOwner', password: 'p', permissions: ['write', 'changeOwner'] },
        { user: 'privileged', password: 'p', permissions: ['write', 'delete', 'privileged'] },
      ],
    },
  ],
  systemUsers: [{ user: 'sysadmin', password: 's01' }],
}

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 1, now: () => Date.UTC(2026, 0, 1), config })
})
afterAll(() => hcp.close())

let counter = 0

interface Row {
  /** Queries of PUTs (or whole requests) that come first, each expected to succeed. */
  readonly first?: readonly (string | (WireRequest & { readonly query?: string }))[]
  readonly in?: string
  readonly as?: string | null
  readonly method?: string
  /** Behind the row's own path. */
  readonly at?: string
  /** In place of the row's own path. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** A row's own object is there already: ten bytes, stored with the queries of `first`. */
const stored: readonly string[] = ['']

async function answerTo(row: Row): Promise<WireAnswer> {
  const host = `${row.in ?? 'n1'}.m.hcp1.test`
  const path = `/rest/rows/${++counter}`
  for (const each of row.first ?? stored) {
    const { query = '', ...request } = typeof each === 'string' ? { query: each } : each
    const sent = { method: 'PUT', body: 'hello hcp\n', ...request, path: path + query, host }
    expect((await ask(hcp, sent)).status).toBeLessThan(300)
  }
  const authorization =
    row.as === undefined
      ? undefined
      : row.as === null || row.as.includes(' ')
        ? row.as
        : credentials(row.as, row.as === 'bare' ? 'b01' : 'p')
  const { method = 'GET', headers = {} } = row
  return ask(hcp, {
    method,
    path: (row.path ?? path) + (row.at ?? ''),
    host,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace('$', path.slice('/rest/'.length))]),
    ),
    body: row.body,
    ...(authorization === undefined ? {} : { authorization }),
  })
}

function rows(status: number, name: string, cases: readonly (readonly [string, Row])[]): void {
  describe(`${status} ${name}`, () => {
    test.each(cases)('%s', async (_, row) => {
      const answer = await answerTo(row)
      expect([answer.status, answer.reason]).toEqual([status, name])
      expect(answer.headers).toMatchObject({ 'x-hcp-servicedbysystem': 'hcp1.test' })
      const lacksText = answer.headers['x-hcp-errormessage'] === undefined
      if (status === 400 || status === 403) expect(lacksText).toBe(false)
      if (status >= 400) expect(answer).toMatchObject({ text: '', headers: { 'content-length': '0' } })
    })
  })
}

const annotation = '?type=custom-metadata&annotation=a'
const whole = '?type=whole-object&annotation=a'
const annotated = { query: annotation, body: '<a/>' }
const deleted = ['', { method: 'DELETE', body: '' }] as const
const free: readonly string[] = []

rows(200, 'OK', [
  ['GET of an object', {}],
  ['HEAD of an object', { method: 'HEAD' }],
  ['HEAD of a directory', { method: 'HEAD', path: '/rest/rows' }],
  ['GET of a directory', { path: '/rest/rows' }],
  ['GET of the root', { path: '/rest' }],
  ['GET of an annotation', { first: ['', annotated], at: annotation }],
  ['HEAD of an annotation', { first: ['', annotated], method: 'HEAD', at: annotation }],
  ['GET of the list of annotations', { first: ['', annotated], at: '?type=custom-metadata-info' }],
  ['GET of an object with its annotation', { first: ['', annotated], at: whole }],
  ['HEAD of an object with its annotation', { first: ['', annotated], method: 'HEAD', at: whole }],
  ['GET of an ACL', { at: '?type=acl' }],
  ['HEAD of an ACL', { method: 'HEAD', at: '?type=acl' }],
  ['POST', { method: 'POST', body: 'index=false' }],
  ['DELETE of an object', { method: 'DELETE' }],
  ['DELETE of an annotation', { first: ['', annotated], method: 'DELETE', at: annotation }],
  ['DELETE of an ACL that is not there', { method: 'DELETE', at: '?type=acl' }],
  ['DELETE of an empty directory', { first: ['?type=directory'], method: 'DELETE' }],
  ['purge', { method: 'DELETE', at: '?purge=true', in: 'n2' }],
  ['purge of what is deleted', { first: deleted, method: 'DELETE', at: '?purge=true', in: 'n2' }],
  ['DELETE in compliance mode of what is not retained', { method: 'DELETE', in: 'strict' }],
  [
    'a privileged DELETE of what is retained',
    { first: ['?retention=-1'], method: 'DELETE', at: '?privileged=true&reason=x' },
  ],
  [
    'a reason of 1,024 characters',
    { method: 'DELETE', at: `?privileged=true&reason=${'%C3%A4'.repeat(1024)}` },
  ],
  ['a condition with an ACL', { headers: { 'If-Match': '"x"' }, at: '?type=acl' }],
  ['a condition with a directory', { headers: { 'If-Match': '"x"' }, path: '/rest/rows' }],
  [
    'a condition with an annotation',
    { first: ['', annotated], headers: { 'If-Match': '"x"' }, at: annotation },
  ],
  ['a condition with a POST', { method: 'POST', headers: { 'If-Match': '"x"' }, body: 'index=false' }],
  ['nowait', { at: '?nowait' }],
  ['forceEtag', { at: '?forceEtag=true' }],
  ['no credentials where none are needed', { in: 'anyone', as: null }],
  ['/proc for who may nothing', { path: '/proc', as: 'bare', in: 'n2' }],
])

rows(201, 'Created', [
  ['PUT of an object', { first: free, method: 'PUT', body: 'x' }],
  ['PUT of an empty object', { first: free, method: 'PUT' }],
  ['PUT of a version', { method: 'PUT', body: 'x', in: 'n2' }],
  ['PUT over a delete marker', { first: deleted, method: 'PUT', body: 'x', in: 'n2' }],
  ['PUT of a directory', { first: free, method: 'PUT', at: '?type=directory' }],
  [
    'PUT of a directory with a deleted name',
    {
      first: ['?type=directory', { method: 'DELETE', body: '' }],
      method: 'PUT',
      at: '?type=directory',
      in: 'n2',
    },
  ],
  ['PUT of an annotation', { method: 'PUT', at: annotation, body: '<a/>' }],
  [
    'PUT of an annotation that is there',
    { first: ['', annotated], method: 'PUT', at: annotation, body: '<a/>' },
  ],
  [
    'PUT of the tenth annotation',
    { first: ['', ...tenOf().slice(1)], method: 'PUT', at: annotation, body: '<a/>' },
  ],
  ['PUT of an ACL', { method: 'PUT', at: '?type=acl', body: grant }],
  [
    'PUT of an ACL that is there',
    { first: ['', { query: '?type=acl', body: grant }], method: 'PUT', at: '?type=acl', body: grant },
  ],
  [
    'PUT of an ACL under retention',
    { first: ['?retention=-1'], method: 'PUT', at: '?type=acl', body: grant },
  ],
  [
    'PUT with an annotation',
    { first: free, method: 'PUT', at: whole, headers: { 'X-HCP-Size': '1' }, body: 'x<a/>' },
  ],
  [
    'a copy',
    { method: 'PUT', path: '/rest/copies/of', at: 'rows', headers: { 'X-HCP-CopySource': 'n1.m/$' } },
  ],
  [
    'a new annotation under retention',
    { first: ['?retention=-1'], method: 'PUT', at: annotation, body: '<a/>' },
  ],
  ['a retention that has passed', { first: free, method: 'PUT', at: '?retention=1', body: 'x' }],
  ['hold and retention at once', { first: free, method: 'PUT', at: '?retention=-1&hold=true', body: 'x' }],
  ['a name of more than 255 bytes', { first: free, method: 'PUT', at: 'x'.repeat(300), body: 'x' }],
  ['an annotation of 100 levels', { in: 'xml', method: 'PUT', at: annotation, body: nested(100) }],
  [
    'an annotation of 10,000 elements',
    { in: 'xml', method: 'PUT', at: annotation, body: `<a>${'<b/>'.repeat(9_999)}</a>` },
  ],
  [
    'an annotation of 1 MB',
    { in: 'xml', method: 'PUT', at: annotation, body: `<a>${'x'.repeat(1024 ** 2 - 7)}</a>` },
  ],
  [
    'an annotation that only looks deep',
    {
      in: 'xml',
      method: 'PUT',
      at: annotation,
      body: `<a b="<"><!--${nested(101)}--><![CDATA[${nested(101)}]]></a>`.replace('"<"', '">/>"'),
    },
  ],
  ['an empty annotation', { in: 'xml', method: 'PUT', at: annotation, body: '' }],
  [
    'a default annotation of more than 1 MB',
    { in: 'xml', method: 'PUT', at: '?type=custom-metadata', body: `<a>${'x'.repeat(1024 ** 2)}</a>` },
  ],
])

rows(204, 'No Content', [
  ['GET of an annotation that is not there', { at: annotation }],
  ['HEAD of one', { method: 'HEAD', at: annotation }],
  ['DELETE of one', { method: 'DELETE', at: annotation }],
  ['GET of the list of none', { at: '?type=custom-metadata-info' }],
  ['GET of a version that is a delete marker', { first: deleted, at: '?version=@9999999999999', in: 'n2' }],
  ['HEAD of one', { first: deleted, method: 'HEAD', at: '?version=@9999999999999', in: 'n2' }],
  [
    'a copy of one',
    {
      first: deleted,
      method: 'PUT',
      path: '/rest/copies/marker',
      in: 'n2',
      headers: { 'X-HCP-CopySource': 'n2.m/$?version=@9999999999999' },
    },
  ],
])

rows(206, 'Partial Content', [['a range', { headers: { Range: 'bytes=0-0' } }]])

rows(304, 'Not Modified', [
  ['GET with an ETag', { headers: { 'If-None-Match': tag } }],
  ['HEAD with an ETag', { method: 'HEAD', headers: { 'If-None-Match': tag } }],
  ['GET of what has not changed', { headers: { 'If-Modified-Since': future } }],
  ['HEAD of what has not changed', { method: 'HEAD', headers: { 'If-Modified-Since': future } }],
  [
    'PUT over what has not changed',
    { method: 'PUT', body: 'x', headers: { 'If-Modified-Since': future }, in: 'n2' },
  ],
  [
    'a copy over what has not changed',
    { method: 'PUT', headers: { 'X-HCP-CopySource': 'n2.m/$', 'If-Modified-Since': future }, in: 'n2' },
  ],
  [
    'a copy of what has not changed',
    {
      method: 'PUT',
      path: '/rest/none',
      headers: { 'X-HCP-CopySource': 'n1.m/$', 'X-HCP-CopySource-If-Modified-Since': future },
    },
  ],
  [
    'a copy of what has the ETag',
    {
      method: 'PUT',
      path: '/rest/none',
      headers: { 'X-HCP-CopySource': 'n1.m/$', 'X-HCP-CopySource-If-None-Match': tag },
    },
  ],
])

rows(400, 'Bad Request', [
  ['a malformed URL', { path: '/rest/a%' }],
  ['an unknown parameter', { at: '?time=1' }],
  ['a parameter of another method', { at: '?retention=0' }],
  ['an invalid type', { at: '?type=none' }],
  ['an invalid boolean', { method: 'PUT', first: free, at: '?shred=yes' }],
  ['an invalid retention', { method: 'PUT', first: free, at: '?retention=soon' }],
  ['an invalid version', { at: '?version=x', in: 'n2' }],
  ['an invalid annotation name', { at: '?type=custom-metadata&annotation=a%20b' }],
  ['an annotation name of 33 characters', { method: 'PUT', at: annotation + 'a'.repeat(32), body: '<a/>' }],
  ['a reserved name', { method: 'PUT', first: free, at: '/.directory-metadata' }],
  [
    'a range of an object with its annotation',
    { first: ['', annotated], at: whole, headers: { Range: 'bytes=0-1' } },
  ],
  [
    'what is not gzip though announced',
    { first: free, method: 'PUT', headers: { 'Content-Encoding': 'gzip' }, body: 'x' },
  ],
  [
    'a cut gzip',
    {
      first: free,
      method: 'PUT',
      headers: { 'Content-Encoding': 'gzip' },
      body: gzipSync('hello').subarray(0, -3),
    },
  ],
  [
    'an annotation that is not gzip',
    { method: 'PUT', at: annotation, headers: { 'Content-Encoding': 'gzip' }, body: 'x' },
  ],
  [
    'an ACL that is not gzip',
    { method: 'PUT', at: '?type=acl', headers: { 'Content-Encoding': 'gzip' }, body: acl },
  ],
  ['whole-object without a size', { first: free, method: 'PUT', at: whole, body: 'x<a/>' }],
  [
    'whole-object with too large a size',
    { first: free, method: 'PUT', at: whole, headers: { 'X-HCP-Size': '6' }, body: 'x<a/>' },
  ],
  [
    'whole-object with too large a size, compressed',
    {
      first: free,
      method: 'PUT',
      at: whole,
      headers: { 'X-HCP-Size': '6', 'Content-Encoding': 'gzip' },
      body: gzipSync('x<a/>'),
    },
  ],
  [
    'whole-object with an annotation that is no XML',
    { first: free, method: 'PUT', in: 'xml', at: whole, headers: { 'X-HCP-Size': '1' }, body: 'x<a>' },
  ],
  ['an annotation that is no XML', { in: 'xml', method: 'PUT', at: annotation, body: '<a>' }],
  ['an annotation with two roots', { in: 'xml', method: 'PUT', at: annotation, body: '<a/><a/>' }],
  ['an annotation of 101 levels', { in: 'xml', method: 'PUT', at: annotation, body: nested(101) }],
  [
    'an annotation of 10,001 elements',
    { in: 'xml', method: 'PUT', at: annotation, body: `<a>${'<b/>'.repeat(10_000)}</a>` },
  ],
  ['the eleventh annotation', { first: ['', ...tenOf()], method: 'PUT', at: annotation, body: '<a/>' }],
  [
    'the eleventh annotation with a version',
    {
      first: ['', ...tenOf()],
      in: 'n2',
      method: 'PUT',
      at: whole,
      headers: { 'X-HCP-Size': '1' },
      body: 'x<a/>',
    },
  ],
  ['an annotation of a directory', { method: 'PUT', path: '/rest/rows', at: annotation, body: '<a/>' }],
  ['a bad ACL', { method: 'PUT', at: '?type=acl', body: acl }],
  ['an ACL where there are none', { in: 'xml', method: 'PUT', at: '?type=acl', body: grant }],
  ['a predefined ACL where there are none', { in: 'xml', first: free, method: 'PUT', at: '?acl=all_read' }],
  ['an owner of a directory service', { method: 'POST', body: 'owner=n&domain=ad.example.com' }],
  ['an owner whom nobody knows', { method: 'POST', body: 'owner=nobody' }],
  [
    'from a class to an explicit setting',
    { in: 'classes', first: ['?retention=C%2BTAX'], method: 'POST', body: 'retention=-1' },
  ],
  ['retention and hold in one POST', { method: 'POST', body: 'retention=-1&hold=true' }],
  ['retention of what is on hold', { first: ['?hold=true'], method: 'POST', body: 'retention=-1' }],
  ['shred back to false', { first: ['?shred=true'], method: 'POST', body: 'shred=false' }],
  ['a condition with a DELETE', { method: 'DELETE', headers: { 'If-Match': tag } }],
  [
    'a condition with a DELETE of a directory',
    { method: 'DELETE', path: '/rest/rows', headers: { 'If-None-Match': '*' } },
  ],
  [
    'a condition with a DELETE of an annotation',
    { first: ['', annotated], method: 'DELETE', at: annotation, headers: { 'If-Modified-Since': past } },
  ],
  [
    'a condition with a DELETE of an ACL',
    { method: 'DELETE', at: '?type=acl', headers: { 'If-Unmodified-Since': future } },
  ],
  ['a list of versions where there are none', { at: '?version=list' }],
  ['no reason', { method: 'DELETE', at: '?privileged=true' }],
  ['an empty reason', { method: 'DELETE', at: '?privileged=true&reason=' }],
  ['a reason of 1,025 characters', { method: 'DELETE', at: `?privileged=true&reason=${'x'.repeat(1025)}` }],
  ['parameters in query and body', { method: 'DELETE', at: '?privileged=true', body: 'reason=x' }],
])

rows(401, 'Unauthorized', [
  ['/proc/statistics without access', { path: '/proc/statistics', as: 'bare' }],
  ['/proc/permissions without access', { path: '/proc/permissions', as: 'bare' }],
  ['/proc/retentionClasses without access', { path: '/proc/retentionClasses', as: 'bare' }],
])

const as = (user: string, row: Row): Row => ({ ...row, as: user })
rows(403, 'Forbidden', [
  ['a wrong password', { as: credentials('n', 'wrong') }],
  ['a user whom nobody knows', { as: credentials('nobody', 'n01') }],
  ['a user of the system', { as: credentials('sysadmin', 's01') }],
  ['another scheme', { as: 'Basic bjpuMDE=' }],
  ['wrong credentials where none are needed', { in: 'anyone', as: credentials('n', 'wrong') }],
  ['wrong credentials under /proc', { path: '/proc/statistics', as: credentials('n', 'wrong') }],
  ['no credentials', { as: null }],
  ['no credentials where they are required', { in: 'closed', as: null }],
  ['what nobody in particular may not', { in: 'anyone', as: null, method: 'DELETE' }],
  ['no permission at all', { as: 'bare' }],
  ['GET without read', as('browse', {})],
  ['HEAD without read', as('browse', { method: 'HEAD' })],
  ['GET of a directory without browse', as('write', { path: '/rest/rows' })],
  ['HEAD of a directory without browse', as('write', { method: 'HEAD', path: '/rest/rows' })],
  ['GET of an annotation without read', as('browse', { at: annotation })],
  ['PUT without write', as('read', { first: free, method: 'PUT', body: 'x' })],
  ['PUT of a directory without write', as('read', { first: free, method: 'PUT', at: '?type=directory' })],
  ['PUT of an annotation without write', as('read', { method: 'PUT', at: annotation, body: '<a/>' })],
  [
    'a copy without write',
    as('read', { method: 'PUT', path: '/rest/none', headers: { 'X-HCP-CopySource': 'n1.m/$' } }),
  ],
  [
    'a copy without read',
    as('write', { method: 'PUT', path: '/rest/none', headers: { 'X-HCP-CopySource': 'n1.m/$' } }),
  ],
  ['POST without write', as('read', { method: 'POST', body: 'index=false' })],
  ['hold without privileged', as('write', { method: 'POST', body: 'hold=true' })],
  ['hold without privileged in a PUT', as('write', { first: free, method: 'PUT', at: '?hold=true' })],
  ['owner without changeOwner', as('write', { method: 'POST', body: 'owner=n' })],
  ['DELETE without delete', as('write', { method: 'DELETE' })],
  ['DELETE of a directory without delete', as('write', { first: ['?type=directory'], method: 'DELETE' })],
  [
    'DELETE of an annotation without delete',
    as('write', { first: ['', annotated], method: 'DELETE', at: annotation }),
  ],
  ['purge without purge', as('delete', { method: 'DELETE', at: '?purge=true' })],
  ['privileged without privileged', as('purge', { method: 'DELETE', at: '?privileged=true&reason=x' })],
  ['GET of an ACL without readAcl', as('read', { at: '?type=acl' })],
  ['PUT of an ACL without writeAcl', as('write', { method: 'PUT', at: '?type=acl', body: grant })],
  ['DELETE of an ACL without writeAcl and delete', as('write', { method: 'DELETE', at: '?type=acl' })],
  ['a namespace that is not there', { in: 'n9', first: free }],
  ['HTTP where it is off', { in: 'tls', first: free }],
  ['DELETE under retention', { first: ['?retention=-1'], method: 'DELETE' }],
  ['DELETE of what is initially unspecified', { first: ['?retention=-2'], method: 'DELETE' }],
  ['DELETE on hold', { first: ['?hold=true'], method: 'DELETE' }],
  [
    'a privileged DELETE on hold',
    { first: ['?hold=true'], method: 'DELETE', at: '?privileged=true&reason=x' },
  ],
  [
    'a privileged DELETE in compliance mode',
    { in: 'strict', first: ['?retention=-1'], method: 'DELETE', at: '?privileged=true&reason=x' },
  ],
  ['purge under retention', { in: 'n2', first: ['?retention=-1'], method: 'DELETE', at: '?purge=true' }],
  [
    'purge on hold',
    { in: 'n2', first: ['?hold=true'], method: 'DELETE', at: '?purge=true&privileged=true&reason=x' },
  ],
  ['DELETE of a directory that is not empty', { method: 'DELETE', path: '/rest/rows' }],
  [
    'DELETE of an annotation under retention',
    {
      first: ['', annotated, { method: 'POST', query: '', body: 'retention=-1' }],
      method: 'DELETE',
      at: annotation,
    },
  ],
  [
    'DELETE of an annotation on hold',
    {
      first: ['', annotated, { method: 'POST', query: '', body: 'hold=true' }],
      method: 'DELETE',
      at: annotation,
    },
  ],
  [
    'a new annotation where none may come',
    { in: 'none', first: ['?retention=-1'], method: 'PUT', at: annotation, body: '<a/>' },
  ],
  [
    'another annotation in the place of one',
    {
      first: ['', annotated, { method: 'POST', query: '', body: 'retention=-1' }],
      method: 'PUT',
      at: annotation,
      body: '<b/>',
    },
  ],
  ['a version over what is retained', { in: 'n2', first: ['?retention=-1'], method: 'PUT', body: 'x' }],
  [
    'a version over what is initially unspecified',
    { in: 'n2', first: ['?retention=-2'], method: 'PUT', body: 'x' },
  ],
  ['a version over what is on hold', { in: 'n2', first: ['?hold=true'], method: 'PUT', body: 'x' }],
  [
    'a copy over what is retained',
    { in: 'n2', first: ['?retention=-1'], method: 'PUT', headers: { 'X-HCP-CopySource': 'n2.m/$' } },
  ],
  ['an owner under retention', { first: ['?retention=-1'], method: 'POST', body: 'owner=n' }],
])

rows(404, 'Not Found', [
  ['GET of nothing', { first: free }],
  ['HEAD of nothing', { first: free, method: 'HEAD' }],
  ['POST to nothing', { first: free, method: 'POST', body: 'index=false' }],
  ['DELETE of nothing', { first: free, method: 'DELETE' }],
  [
    'POST with a path of any length',
    { first: free, method: 'POST', path: `/rest/${'x'.repeat(5_000)}`, body: '' },
  ],
  ['POST to a directory', { method: 'POST', path: '/rest/rows', body: 'index=false' }],
  ['what is below an object', { at: '/below' }],
  ['an annotation of nothing', { first: free, at: annotation }],
  ['PUT of an annotation of nothing', { first: free, method: 'PUT', at: annotation, body: '<a/>' }],
  ['DELETE of an annotation of nothing', { first: free, method: 'DELETE', at: annotation }],
  ['the list of annotations of nothing', { first: free, at: '?type=custom-metadata-info' }],
  ['the ACL of nothing', { first: free, at: '?type=acl' }],
  ['HEAD of the ACL of nothing', { first: free, method: 'HEAD', at: '?type=acl' }],
  ['PUT of the ACL of nothing', { first: free, method: 'PUT', at: '?type=acl', body: grant }],
  ['DELETE of the ACL of nothing', { first: free, method: 'DELETE', at: '?type=acl' }],
  ['a version that is not there', { at: '?version=1', in: 'n2' }],
  ['GET of what is deleted', { first: deleted, in: 'n2' }],
  ['HEAD of what is deleted', { first: deleted, method: 'HEAD', in: 'n2' }],
  ['DELETE of what is deleted', { first: deleted, method: 'DELETE', in: 'n2' }],
  ['an annotation of what is deleted', { first: deleted, at: annotation, in: 'n2' }],
  [
    'a copy of what is deleted',
    {
      first: deleted,
      method: 'PUT',
      path: '/rest/none',
      in: 'n2',
      headers: { 'X-HCP-CopySource': 'n2.m/$' },
    },
  ],
  [
    'a copy of nothing',
    { first: free, method: 'PUT', path: '/rest/none', headers: { 'X-HCP-CopySource': 'n1.m/$' } },
  ],
  ['whole-object without the annotation', { at: whole }],
  ['a directory where an object is', { at: '?type=directory' }],
  ['something else under /proc', { path: '/proc/none' }],
  ['another root', { path: '/rest2/a' }],
])

rows(405, 'Method Not Allowed', [
  ['another method', { method: 'PATCH', body: '' }],
  ['OPTIONS', { method: 'OPTIONS' }],
  ['POST of an annotation', { method: 'POST', at: annotation, body: '' }],
  ['PUT under /proc', { method: 'PUT', path: '/proc' }],
])

rows(406, 'Not Acceptable', [
  ['GET in another coding', { headers: { 'Accept-Encoding': 'br' } }],
  ['GET of a directory in another coding', { path: '/rest/rows', headers: { 'Accept-Encoding': 'br' } }],
  [
    'GET of an annotation in another coding',
    { first: ['', annotated], at: annotation, headers: { 'Accept-Encoding': 'br' } },
  ],
  ['GET of an ACL in another format', { at: '?type=acl', headers: { 'Content-Type': 'text/xml' } }],
])

rows(409, 'Conflict', [
  ['PUT of an object that is there', { method: 'PUT', body: 'x' }],
  ['PUT of an object where a directory is', { first: ['?type=directory'], method: 'PUT', body: 'x' }],
  [
    'PUT of a version where a directory is',
    { first: ['?type=directory'], method: 'PUT', body: 'x', in: 'n2' },
  ],
  ['PUT of a directory that is there', { method: 'PUT', path: '/rest/rows', at: '?type=directory' }],
  ['PUT of a directory where an object is', { method: 'PUT', at: '?type=directory' }],
  ['PUT below an object', { method: 'PUT', at: '/below', body: 'x' }],
  ['PUT of the root', { method: 'PUT', path: '/rest/', body: 'x' }],
  ['a copy onto an object', { method: 'PUT', headers: { 'X-HCP-CopySource': 'n1.m/$' } }],
])

rows(412, 'Precondition Failed', [
  ['GET with another ETag', { headers: { 'If-Match': '"x"' } }],
  ['GET with another ETag before the right one', { headers: { 'If-Match': '"x"', 'if-match': tag } }],
  [
    'a copy with another ETag before the right one',
    {
      method: 'PUT',
      path: '/rest/none',
      headers: {
        'X-HCP-CopySource': 'n1.m/$',
        'X-HCP-CopySource-If-Match': '"x"',
        'x-hcp-copysource-if-match': tag,
      },
    },
  ],
  ['HEAD with another ETag', { method: 'HEAD', headers: { 'If-Match': '"x"' } }],
  ['PUT over another ETag', { in: 'n2', method: 'PUT', body: 'x', headers: { 'If-Match': '"x"' } }],
  ['PUT over something', { in: 'n2', method: 'PUT', body: 'x', headers: { 'If-None-Match': '*' } }],
  ['PUT over something without versions', { method: 'PUT', body: 'x', headers: { 'If-None-Match': '*' } }],
  ['PUT over nothing', { first: free, method: 'PUT', body: 'x', headers: { 'If-Match': '*' } }],
  ['GET of what has changed', { headers: { 'If-Unmodified-Since': past } }],
  [
    'PUT over what has changed',
    { in: 'n2', method: 'PUT', body: 'x', headers: { 'If-Unmodified-Since': past } },
  ],
  [
    'a copy of another ETag',
    {
      method: 'PUT',
      path: '/rest/none',
      headers: { 'X-HCP-CopySource': 'n1.m/$', 'X-HCP-CopySource-If-Match': '"x"' },
    },
  ],
  [
    'a copy of what has changed',
    {
      method: 'PUT',
      path: '/rest/none',
      headers: { 'X-HCP-CopySource': 'n1.m/$', 'X-HCP-CopySource-If-Unmodified-Since': past },
    },
  ],
])

const tooMuch = { Expect: '100-continue' }
rows(413, 'File Too Large', [
  ['an object beyond the quota', { in: 'small', first: free, method: 'PUT', body: 'x'.repeat(101) }],
  [
    'an object beyond what is left of the quota',
    { in: 'small', first: free, path: '/rest/second', method: 'PUT', body: 'x'.repeat(101) },
  ],
  [
    'an object that is compressed',
    {
      in: 'small',
      first: free,
      method: 'PUT',
      headers: { 'Content-Encoding': 'gzip' },
      body: gzipSync('x'.repeat(101)),
    },
  ],
  [
    'an annotation beyond the quota',
    { in: 'small', first: [{ body: '' }], method: 'PUT', at: annotation, body: 'x'.repeat(101) },
  ],
  [
    'an object of more than 2 TB',
    {
      in: 'huge',
      first: free,
      method: 'PUT',
      headers: { ...tooMuch, 'Content-Length': String(2 * 1024 ** 4 + 1) },
    },
  ],
  [
    'an object of more than 2 TB with an annotation',
    {
      in: 'huge',
      first: free,
      method: 'PUT',
      at: whole,
      headers: { ...tooMuch, 'X-HCP-Size': '1', 'Content-Length': String(2 * 1024 ** 4 + 1) },
    },
  ],
  [
    'a default annotation of more than 1 GB',
    {
      in: 'huge',
      method: 'PUT',
      at: '?type=custom-metadata',
      headers: { ...tooMuch, 'Content-Length': String(1024 ** 3 + 1) },
    },
  ],
  [
    'another annotation of more than 1 GB',
    {
      in: 'huge',
      method: 'PUT',
      at: annotation,
      headers: { ...tooMuch, 'Content-Length': String(1024 ** 3 + 1) },
    },
  ],
  [
    'another annotation of more than 1 MB of XML',
    {
      in: 'xml',
      method: 'PUT',
      at: annotation,
      headers: { ...tooMuch, 'Content-Length': String(1024 ** 2 + 1) },
    },
  ],
])

rows(414, 'Request URI Too Large', [
  ['GET', { first: free, path: `/rest/${'x'.repeat(4_095)}` }],
  ['HEAD', { first: free, method: 'HEAD', path: `/rest/${'x/'.repeat(2_048)}x` }],
  ['PUT', { first: free, method: 'PUT', path: `/rest/${'x'.repeat(4_095)}` }],
  ['DELETE', { first: free, method: 'DELETE', path: `/rest/${'x'.repeat(4_095)}` }],
  [
    'the source of a copy',
    { first: free, method: 'PUT', headers: { 'X-HCP-CopySource': `n1.m/${'x'.repeat(4_095)}` } },
  ],
])

rows(415, 'Unsupported Media Type', [
  [
    'an object in another coding',
    { first: free, method: 'PUT', headers: { 'Content-Encoding': 'deflate' }, body: 'x' },
  ],
  [
    'an annotation in another coding',
    { method: 'PUT', at: annotation, headers: { 'Content-Encoding': 'br' }, body: 'x' },
  ],
  [
    'an ACL in another coding',
    { method: 'PUT', at: '?type=acl', headers: { 'Content-Encoding': 'br' }, body: grant },
  ],
  [
    'an ACL in another format',
    { method: 'PUT', at: '?type=acl', headers: { 'Content-Type': 'text/plain' }, body: grant },
  ],
])

rows(416, 'Requested Range Not Satisfiable', [
  ['a range behind the end', { headers: { Range: 'bytes=10-' } }],
  ['a range of no length', { headers: { Range: 'bytes=-0' } }],
  ['a range of an empty object', { first: [{ body: '' }], headers: { Range: 'bytes=0-' } }],
])

/** Annotations with the names 0 to 9. */
function tenOf(): { query: string; body: string }[] {
  return Array.from({ length: 10 }, (_, index) => ({
    query: `?type=custom-metadata&annotation=${index}`,
    body: '<a/>',
  }))
}

function nested(levels: number): string {
  return '<a>'.repeat(levels) + '</a>'.repeat(levels)
}

describe('while an object is being written', () => {
  /** A request while a PUT of an object is on its way, which is completed afterwards. */
  async function during(
    host: string,
    request: (path: string) => WireRequest,
    versions = false,
  ): Promise<number> {
    const path = `/rest/busy/${++counter}`
    if (versions) expect(await statusOf(hcp, { method: 'PUT', path, host, body: 'old' })).toBe(201)
    if (versions)
      expect(await statusOf(hcp, { method: 'PUT', path: path + annotation, host, body: '<a/>' })).toBe(201)
    using wire = await Wire.to(hcp)
    const bytes = requestBytes({ method: 'PUT', path, host, body: 'new' })
    wire.socket.write(bytes.subarray(0, -1))
    const refused = { method: 'PUT', path, host, headers: { 'If-Match': '"none"' }, body: 'x' }
    await expect.poll(() => statusOf(hcp, refused)).toBe(409)
    const status = await statusOf(hcp, { host, ...request(path) })
    wire.socket.write(bytes.subarray(-1))
    expect((await wire.answer()).status).toBe(201)
    return status
  }
  const [one, two] = ['n1.m.hcp1.test', 'n2.m.hcp1.test']

  test.each<[string, string, boolean, (path: string) => WireRequest, number]>([
    ['GET is a 404', one, false, (path) => ({ path }), 404],
    ['HEAD is a 404', one, false, (path) => ({ method: 'HEAD', path }), 404],
    ['DELETE is a 404', one, false, (path) => ({ method: 'DELETE', path }), 404],
    ['another PUT is a 409', one, false, (path) => ({ method: 'PUT', path, body: 'x' }), 409],
    [
      'PUT of a directory is a 409',
      one,
      false,
      (path) => ({ method: 'PUT', path: `${path}?type=directory` }),
      409,
    ],
    [
      'a copy of it is a 404',
      one,
      false,
      (path) => ({
        method: 'PUT',
        path: '/rest/none',
        headers: { 'X-HCP-CopySource': `n1.m${path.slice(5)}` },
      }),
      404,
    ],
    ['GET is of the version before', two, true, (path) => ({ path }), 200],
    ['another version is stored', two, true, (path) => ({ method: 'PUT', path, body: 'x' }), 201],
    [
      'a PUT with a condition is a 409',
      two,
      true,
      (path) => ({ method: 'PUT', path, body: 'x', headers: { 'If-Match': '*' } }),
      409,
    ],
    ['DELETE of the version before is a 409', two, true, (path) => ({ method: 'DELETE', path }), 409],
    ['purge is a 409', two, true, (path) => ({ method: 'DELETE', path: `${path}?purge=true` }), 409],
    [
      'DELETE of an annotation is a 409',
      two,
      true,
      (path) => ({ method: 'DELETE', path: path + annotation }),
      409,
    ],
    [
      'DELETE of the ACL is a 409',
      two,
      true,
      (path) => ({ method: 'DELETE', path: `${path}?type=acl` }),
      409,
    ],
  ])('%s', async (_, host, versions, request, status) => {
    expect(await during(host, request, versions)).toBe(status)
  })

  test('what the version before is given meanwhile, the next one has', async () => {
    const path = `/rest/busy/${++counter}`
    const send = (method: string, query: string, body: string): Promise<number> =>
      statusOf(hcp, { method, path: path + query, host: two, body })
    expect(await send('PUT', '', 'old')).toBe(201)
    expect(await send('PUT', annotation, '<old/>')).toBe(201)
    using wire = await Wire.to(hcp)
    const bytes = requestBytes({ method: 'PUT', path, host: two, body: 'new' })
    wire.socket.write(bytes.subarray(0, -1))
    await expect.poll(() => send('DELETE', '', '')).toBe(409)
    expect(await send('PUT', annotation, '<new/>')).toBe(201)
    expect(await send('PUT', '?type=acl', grant)).toBe(201)
    expect(await send('POST', '', 'index=false')).toBe(200)
    wire.socket.write(bytes.subarray(-1))
    expect((await wire.answer()).status).toBe(201)
    expect((await ask(hcp, { path: path + annotation, host: two })).text).toBe('<new/>')
    const { headers, text } = await ask(hcp, { path, host: two })
    expect(text).toBe('new')
    expect(headers).toMatchObject({ 'x-hcp-acl': 'true', 'x-hcp-index': 'false' })
  })

  test('its directory cannot be deleted', async () => {
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/alone?type=directory' })).toBe(201)
    using wire = await Wire.to(hcp)
    const bytes = requestBytes({ method: 'PUT', path: '/rest/alone/a', body: 'new' })
    wire.socket.write(bytes.subarray(0, -1))
    await expect.poll(() => statusOf(hcp, { method: 'PUT', path: '/rest/alone/a', body: 'x' })).toBe(409)
    expect(await statusOf(hcp, { method: 'DELETE', path: '/rest/alone' })).toBe(409)
    wire.socket.write(bytes.subarray(-1))
    expect((await wire.answer()).status).toBe(201)
    expect(await statusOf(hcp, { method: 'DELETE', path: '/rest/alone' })).toBe(403)
  })

  test('another version can be refused instead', async () => {
    await using other = await startEmulator({ nodes: 1, choices: { concurrentVersions: 'refused' } })
    const put = { method: 'PUT', path: '/rest/a', host: two, body: 'new' }
    using wire = await Wire.to(other)
    wire.socket.write(requestBytes(put).subarray(0, -1))
    await expect.poll(() => statusOf(other, put)).toBe(409)
    wire.socket.write(requestBytes(put).subarray(-1))
    expect((await wire.answer()).status).toBe(201)
    expect(await statusOf(other, put)).toBe(201)
  })
})

describe('503 Service Unavailable', () => {
  test('a body that is shorter than announced', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.end(
      requestBytes({ method: 'PUT', path: '/rest/short', headers: { 'Content-Length': '5' }, body: 'x' }),
    )
    expect((await wire.answer()).status).toBe(503)
    expect(await statusOf(hcp, { path: '/rest/short' })).toBe(404)
  })

  test('a disk that is full', async () => {
    hcp.setDisk({ full: true })
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/full', body: 'x' })).toBe(503)
    hcp.setDisk({ full: false })
  })

  test('data that is gone, and 405 for its copy', async () => {
    const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
    try {
      const blobs = join(data, 'primary', 'blobs')
      await using kept = await startEmulator({ nodes: 1, data })
      await ask(kept, { method: 'PUT', path: '/rest/a', body: Buffer.alloc(300_000) })
      for (const folder of await readdir(blobs)) await rm(join(blobs, folder), { recursive: true })
      expect(await statusOf(kept, { path: '/rest/a' })).toBe(503)
      const copy = { method: 'PUT', path: '/rest/b', headers: { 'X-HCP-CopySource': 'n1.m/a' } }
      expect(await statusOf(kept, copy)).toBe(405)
      expect(await statusOf(kept, { path: '/rest/b' })).toBe(404)
    } finally {
      await rm(data, { recursive: true, force: true })
    }
  })
})
