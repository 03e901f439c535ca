import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const sample = fileURLToPath(new URL('sample.ts', import.meta.url))

/** The lines of the manual's output (hcpsdk manual, 9.1.2) that differ from run to run, as patterns. */
const seconds = String.raw`\d+\.\d{12} seconds`
const address = String.raw`127\.0\.0\.[1-4]`
const hash = 'SHA-256 A2706A20394E48179A86C71E82C360C2960D3652340F9B9FDB355A42E3AC7691'
const form = new RegExp(
  [
    String.raw`^running \*sample\.ts\*`,
    String.raw`\*I_NATIVE\* authorization initialized`,
    '',
    String.raw`Target \*t\* was initialized with IP addresses: \['${address}', '${address}', '${address}', '${address}'\]`,
    String.raw`Connection \*c\* uses IP address: None`,
    '',
    'PUT Request was successful',
    `used IP address: (${address})`,
    `hash = ${hash}`,
    `connect time:     ${seconds}`,
    `Request duration: ${seconds}`,
    '',
    'HEAD Request was successful - headers:',
    String.raw`(\[\([^\0]*?\)\])`,
    String.raw`used IP address: \1`,
    `Request duration: ${seconds}`,
    '',
    "GET Request was successful - here's the content:",
    String.raw`b'0123456789abcdef0123456789abcdef01234567'\.\.\.`,
    String.raw`used IP address: \1`,
    `Request duration: ${seconds}`,
    '',
    'DELETE Request was successful',
    String.raw`used IP address: \1`,
    `Request duration: ${seconds}`,
    '',
    '$',
  ].join('\n'),
)

/** Headers that the manual shows, in its order. */
const shown = [
  'Date',
  'Server',
  'X-RequestId',
  'X-HCP-ServicedBySystem',
  'X-HCP-Time',
  'X-HCP-SoftwareVersion',
  'ETag',
  'Cache-Control',
  'Pragma',
  'Expires',
  'Content-Type',
  'Content-Length',
  'X-HCP-Type',
  'X-HCP-Size',
  'X-HCP-Hash',
  'X-HCP-VersionId',
  'X-HCP-IngestTime',
  'X-HCP-RetentionClass',
  'X-HCP-RetentionString',
  'X-HCP-Retention',
  'X-HCP-IngestProtocol',
  'X-HCP-RetentionHold',
  'X-HCP-Shred',
  'X-HCP-DPL',
  'X-HCP-Index',
  'X-HCP-Custom-Metadata',
  'X-HCP-ACL',
  'X-HCP-Owner',
  'X-HCP-Domain',
  'X-HCP-UID',
  'X-HCP-GID',
  'X-HCP-CustomMetadataAnnotations',
  'X-HCP-Replicated',
  'X-HCP-ReplicationCollision',
  'X-HCP-ChangeTimeMilliseconds',
  'X-HCP-ChangeTimeString',
  'Last-Modified',
]

test("prints what the manual's sample prints, and its hash and ETag", async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [sample])
  expect(stderr).toBe('')
  expect(stdout).toMatch(form)
  const list = form.exec(stdout)?.[2] ?? ''
  const headers = [...list.matchAll(/\('([^']+)',\s+'([^']*)'\)/g)].map(([, name, value]) => [name, value])
  // Later releases send one more.
  expect(headers.map(([name]) => name).filter((name) => name !== 'X-HCP-IngestTimeMilliseconds')).toEqual(
    shown,
  )
  expect(Object.fromEntries(headers)).toMatchObject({
    ETag: '"ced877c812a6b561fa8c28b99fda69f2"',
    'Content-Length': '131072',
    'X-HCP-Hash': hash,
    'X-HCP-Shred': 'true',
    'X-HCP-Index': 'true',
    'X-HCP-Owner': 'n',
  })
  expect(list).toContain(`\n ('X-HCP-Hash',\n  '${hash}'),\n`)
})
