import { httpDate } from '../times.ts'
import type { System } from '../system.ts'

const policy =
  "default-src 'self'; script-src 'self' 'unsafe-eval' 'unsafe-inline'; connect-src 'self'; img-src 'self'; " +
  "style-src 'self' 'unsafe-inline'; object-src 'self'; frame-ancestors 'self';"

/** Headers that came with HCP 8. */
const always = [
  'Pragma',
  'no-cache',
  'Content-Security-Policy',
  policy,
  'X-Content-Type-Options',
  'nosniff',
  'X-DNS-Prefetch-Control',
  'off',
  'X-Download-Options',
  'noopen',
  'X-Frame-Options',
  'SAMEORIGIN',
  'X-XSS-Protection',
  '1; mode=block',
]
const onSuccess = [
  'Cache-Control',
  'no-cache,no-store,must-revalidate',
  'Expires',
  'Thu, 01 Jan 1970 00:00:00 GMT',
]

/** The head of an answer of the management API. */
export function mapiHead(system: System, headers: readonly string[], status: number): string[] {
  const { softwareVersion, choices } = system
  const early = Number(softwareVersion.split('.')[0]) < 8
  return [
    'Date',
    httpDate(system.now()),
    ...(choices.serverHeader ? ['Server', `HCP V${softwareVersion}`] : []),
    'X-HCP-SoftwareVersion',
    softwareVersion,
    ...(early ? [] : always),
    ...(early || status >= 300 ? [] : onSuccess),
    ...headers,
    ...(status >= 300 && !headers.includes('Content-Length') ? ['Content-Length', '0'] : []),
  ]
}
