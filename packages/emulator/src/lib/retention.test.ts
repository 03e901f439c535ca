import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NamespaceConfig } from './config.ts'
import { validateConfig } from './config.ts'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { Version } from './namespace.ts'
import { Refusal } from './refusal.ts'
import { parseRetention } from './retention.ts'
import type { WireRequest } from './wire.testing.ts'
import { ask, credentials, statusOf } from './wire.testing.ts'

const day = 86_400
const start = Date.UTC(2026, 0, 1)
let clock = start

const classes = [
  { name: 'TAX', value: 'A+10y' },
  { name: 'Short', value: 'A+1d' },
  { name: 'LONG', value: 'A+20y+6M-1d' },
  { name: 'free', value: '0' },
  { name: 'never', value: '-1' },
  { name: 'open', value: '-2' },
  { name: 'fixed', value: '2040-01-01T00:00:00+0000' },
]
const namespaces: NamespaceConfig[] = [
  { name: 'n1', retentionClasses: classes },
  { name: 'n2', versioning: true, retentionClasses: classes },
  { name: 'strict', retentionMode: 'compliance' },
  { name: 'minimum', minimumRetentionAfterInitialUnspecified: 'A+1y' },
  { name: 'past', defaultRetention: '2001-01-01T00:00:00+0000' },
  { name: 'classed', defaultRetention: 'C+tax', retentionClasses: classes },
  { name: 'owners', ownerChangeUnderRetention: true },
  { name: 'none', annotationsUnderRetention: 'NONE' },
  { name: 'add', annotationsUnderRetention: 'ADD' },
  { name: 'all', annotationsUnderRetention: 'ALL' },
]
const config = {
  tenants: [
    {
      name: 'm',
      namespaces,
      users: [
        { user: 'n', password: 'n01' },
        { user: 'deleter', password: 'd01', permissions: ['read', 'write', 'delete', 'purge'] as const },
      ],
    },
  ],
}
const settings = validateConfig(config).tenants[0]!.namespaces[0]!

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 1, now: () => clock, config })
})
afterAll(() => hcp.close())

let counter = 0
const hostOf = (namespace: string): string => `${namespace}.m.hcp1.test`
const send = (namespace: string, request: WireRequest): Promise<number> =>
  statusOf(hcp, { host: hostOf(namespace), ...request })

async function fresh(namespace = 'n1', query = ''): Promise<string> {
  const path = `/rest/kept/${++counter}`
  expect(await send(namespace, { method: 'PUT', path: path + query, body: 'x' })).toBe(201)
  return path
}

const shown = async (
  path: string,
  namespace = 'n1',
): Promise<readonly [string | undefined, string | undefined]> => {
  const { headers } = await ask(hcp, { method: 'HEAD', path, host: hostOf(namespace) })
  return [headers['x-hcp-retention'], headers['x-hcp-retentionclass']]
}

const seconds = (...date: Parameters<typeof Date.UTC>): string => String(Date.UTC(...date) / 1000)

describe('the parser', () => {
  const at = (text: string, current?: Version): number =>
    parseRetention(text, settings, start, current).retention
  const part = (unit: string): fc.Arbitrary<string> =>
    fc
      .option(fc.integer({ min: -9_999, max: 9_999 }), { nil: undefined })
      .map((amount) => (amount === undefined ? '' : `${amount < 0 ? '-' : '+'}${Math.abs(amount)}${unit}`))

  test('takes the words in any letter case', () => {
    const words = fc.constantFrom(
      ['Deletion Allowed', 0],
      ['Deletion Prohibited', -1],
      ['Initial Unspecified', -2],
    )
    fc.assert(
      fc.property(
        words as fc.Arbitrary<[string, number]>,
        fc.infiniteStream(fc.boolean()),
        ([word, value], upper) => {
          const text = word
            .split('')
            .map((letter) => (upper.next().value ? letter.toUpperCase() : letter.toLowerCase()))
          expect(at(text.join(''))).toBe(value)
        },
      ),
    )
  })

  test('reads every date as the calendar has it, in every zone', () => {
    const zone = fc.tuple(fc.constantFrom('+', '-'), fc.nat(14), fc.constantFrom(0, 30, 45))
    const date = fc.date({ min: new Date(0), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
    fc.assert(
      fc.property(date, zone, fc.boolean(), (time, [sign, hours, minutes], colon) => {
        const two = (value: number): string => String(value).padStart(2, '0')
        const text = `${time.toISOString().slice(0, 19)}${sign}${two(hours)}`
        const expected = Date.parse(`${text}:${two(minutes)}`)
        expect(at(`${text}${colon ? ':' : ''}${two(minutes)}`)).toBe(Math.max(0, expected / 1000))
      }),
    )
  })

  test('lets days that a month has not roll over into the next', () => {
    const months = fc.tuple(
      fc.integer({ min: 1971, max: 2_100 }),
      fc.integer({ min: 1, max: 12 }),
      fc.nat(98),
    )
    fc.assert(
      fc.property(months, ([year, month, more]) => {
        const two = (value: number): string => String(value).padStart(2, '0')
        const first = at(`${year}-${two(month)}-01T00:00:00+0000`)
        expect(at(`${year}-${two(month)}-${two(1 + more)}T00:00:00+0000`)).toBe(first + more * day)
      }),
    )
  })

  test('adds weeks, days, hours, minutes and seconds as what they are', () => {
    const amounts = fc.array(fc.integer({ min: -9_999, max: 9_999 }), { minLength: 5, maxLength: 5 })
    const units = ['w', 'd', 'h', 'm', 's']
    const lengths = [7 * day, day, 3_600, 60, 1]
    fc.assert(
      fc.property(amounts, (list) => {
        const text = list.map(
          (amount, index) => `${amount < 0 ? '-' : '+'}${Math.abs(amount)}${units[index]}`,
        )
        const sum = list.reduce((total, amount, index) => total + amount * lengths[index]!, start / 1000)
        expect(at(`N${text.join('')}`)).toBe(Math.max(0, sum))
      }),
    )
  })

  test('takes the units in their order only', () => {
    const units = ['y', 'M', 'w', 'd', 'h', 'm', 's']
    fc.assert(
      fc.property(
        fc.shuffledSubarray(units, { minLength: 2 }),
        fc.constantFrom('A', 'R', 'N', ''),
        (list, base) => {
          const text = base + list.map((unit) => `+1${unit}`).join('')
          const ordered = list.every(
            (unit, index) => index === 0 || units.indexOf(unit) > units.indexOf(list[index - 1]!),
          )
          if (ordered) expect(at(text)).toBeGreaterThan(start / 1000)
          else expect(() => at(text)).toThrow(Refusal)
        },
      ),
    )
  })

  test('refuses what it cannot read, and nothing else goes wrong', () => {
    const offset = fc
      .tuple(fc.constantFrom('A', 'R', 'N', ''), part('y'), part('M'), part('d'))
      .map((parts) => parts.join(''))
    const odd = fc.string({ unit: fc.constantFrom(...'0123456789+-:TZARNCymMwdhs '.split('')) })
    fc.assert(
      fc.property(fc.oneof(offset, odd, fc.string()), (text) => {
        let found: number
        try {
          found = at(text)
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
          return
        }
        expect(Number.isInteger(found) && found >= -2 && found <= 8.64e12).toBe(true)
      }),
    )
  })
})

describe('a PUT with retention=', () => {
  test.each<[string, string]>([
    ['0', '0'],
    ['-0', '0'],
    ['Deletion+Allowed', '0'],
    ['DELETION%20PROHIBITED', '-1'],
    ['initial%20Unspecified', '-2'],
    ['-1', '-1'],
    ['-2', '-2'],
    ['1', '1'],
    ['2027-01-01T00:00:00-0130', seconds(2027, 0, 1, 1, 30)],
    ['2027-01-01T00:00:00%2B05:45', seconds(2026, 11, 31, 18, 15)],
    ['2027-02-30T24:61:61%2B0000', seconds(2027, 2, 3, 1, 2, 1)],
    ['2027-13-01T00:00:00%2B0000', seconds(2028, 0, 1)],
    ['N%2B1y-1d', seconds(2026, 11, 31)],
    ['A+2M', seconds(2026, 2, 1)],
    ['R+1w', seconds(2026, 0, 8)],
    ['+1y-1M+1w-1d+1h-1m+1s', seconds(2026, 11, 7, 0, 59, 1)],
    ['N-1d', seconds(2025, 11, 31)],
  ])('%s is %s', async (text, expected) => {
    clock = start
    expect((await shown(await fresh('n1', `?retention=${text}`)))[0]).toBe(expected)
  })

  const unreadable =
    '|-3|1.5|+|A+|N+1|+1Y|+1D|a+1d|' +
    'X+1d|+10000y|+1d+1y|+1d+1d|A+1d |2027-01-01|2027-01-01T00:00:00|2027-01-01T00:00:00Z|2027-1-1T00:00:00+0000|' +
    'C|C+|C+none|TAX|1234567890123|Deletion|Initial Undefined'
  test.each(unreadable.split('|'))('%j is refused', async (text) => {
    const path = `/rest/kept/bad?retention=${encodeURIComponent(text)}`
    expect(await send('n1', { method: 'PUT', path, body: 'x' })).toBe(400)
  })

  test.each<[string, string, string]>([
    ['C%2BTAX', seconds(2036, 0, 1), 'TAX'],
    ['c+short', seconds(2026, 0, 2), 'Short'],
    ['C+long', seconds(2046, 5, 30), 'LONG'],
    ['C+free', '0', 'free'],
    ['C+NEVER', '-1', 'never'],
    ['C+open', '-2', 'open'],
    ['C+fixed', seconds(2040, 0, 1), 'fixed'],
  ])('%s is %s in class %s', async (text, value, name) => {
    clock = start
    expect(await shown(await fresh('n1', `?retention=${text}`))).toEqual([value, name])
  })
})

describe('a POST with retention=', () => {
  const month = 31 * day * 1000
  test.each<[string, string, string, number, string?]>([
    ['0', 'not under retention', 'N+1d', 200],
    ['0', 'for ever', '-1', 200],
    ['0', 'to be decided', '-2', 200],
    ['0', 'into the past', '1000', 200, '1000'],
    ['1000', 'expired: again', '0', 200],
    ['1000', 'expired: to be decided', '-2', 200],
    ['1000', 'expired: from its end on', 'R+1s', 200, '1001'],
    ['N+1y', 'later', 'R+1d', 200],
    ['N+1y', 'the same', seconds(2027, 0, 1), 200],
    ['N+1y', 'for ever', 'Deletion Prohibited', 200, '-1'],
    ['N+1y', 'earlier', 'N+1M', 400],
    ['N+1y', 'a sum that shortens', 'R+1d-2d', 400],
    ['N+1y', 'a sum that is nothing', 'R+1d-24h', 400],
    ['N+1y', 'a sum that lengthens', 'R-1M+32d', 200],
    ['N+1y', 'counted from its ingest', 'A+1y+1s', 200, String(Number(seconds(2027, 0, 1)) + 1)],
    ['N+1y', 'counted from its ingest, shorter', 'A+1y-1s', 400],
    ['N+1y', 'allowed', '0', 400],
    ['N+1y', 'to be decided', '-2', 400],
    ['N+1y', 'in the past', '1000', 400],
    ['N+1y', 'into a class that is longer', 'C+tax', 200, seconds(2036, 0, 1)],
    ['N+1y', 'into a class that is shorter', 'C+short', 400],
    ['-1', 'to a date', '4000000000', 400],
    ['-1', 'to zero', '0', 400],
    ['-1', 'to be decided', '-2', 400],
    ['-1', 'into a class', 'C+tax', 400],
    ['-1', 'what it is', '-1', 200],
    ['-1', 'longer than ever', 'R+1y', 200, '-1'],
    ['-2', 'to zero', '0', 200],
    ['-2', 'to a date', 'N+1d', 200],
    ['-2', 'to a date of the past', '1000', 200],
    ['-2', 'for ever', '-1', 200],
    ['-2', 'into a class', 'C+short', 200],
    ['-2', 'what it is', '-2', 200],
    ['-2', 'counted from now', 'R+1d', 200, String((start + month) / 1000 + day)],
    ['C+tax', 'to a class that is longer', 'C+long', 200, seconds(2046, 5, 30)],
    ['C+tax', 'to one that never ends', 'C+never', 200, '-1'],
    ['C+tax', 'to itself', 'C+TAX', 200, seconds(2036, 0, 1)],
    ['C+tax', 'to a class that is shorter', 'C+short', 400],
    ['C+tax', 'to one that protects nothing', 'C+free', 400],
    ['C+tax', 'to a later date', '4000000000', 400],
    ['C+tax', 'for ever', '-1', 400],
    ['C+free', 'to a date', 'N+1y', 400],
    ['C+short', 'expired: to a date', 'N+1y', 400],
    ['C+short', 'expired: to a class', 'C+tax', 200, seconds(2036, 0, 1)],
    ['C+open', 'to a date', 'N+1y', 400],
    ['C+open', 'to a class', 'C+short', 200],
  ])('%s, %s: %s is %i', async (before, _, after, status, expected) => {
    clock = start
    const path = await fresh('n1', `?retention=${encodeURIComponent(before)}`)
    const was = await shown(path)
    // The class "Short" has ended by then.
    clock = start + month
    const body = `retention=${encodeURIComponent(after)}`
    expect(await send('n1', { method: 'POST', path, body })).toBe(status)
    const is = await shown(path)
    if (status !== 200) expect(is).toEqual(was)
    else if (expected !== undefined) expect(is[0]).toBe(expected)
  })

  test.each([false, true])(
    'an expired object leaves its class where that is the choice: %s',
    async (choice) => {
      clock = start
      await using other = await startEmulator({
        nodes: 1,
        now: () => clock,
        config,
        choices: { leaveClassAfterRetention: choice },
      })
      await ask(other, { method: 'PUT', path: '/rest/a?retention=C+short', body: 'x' })
      const leave = { method: 'POST', path: '/rest/a', body: 'retention=-2' }
      expect(await statusOf(other, leave)).toBe(400)
      clock += 2 * day * 1000
      expect(await statusOf(other, leave)).toBe(choice ? 200 : 400)
    },
  )

  test.each([400, 403] as const)('is refused with the status of the choice: %i', async (refusedChange) => {
    await using other = await startEmulator({ nodes: 1, choices: { refusedChange } })
    await ask(other, { method: 'PUT', path: '/rest/a?retention=-1', body: 'x' })
    expect(await statusOf(other, { method: 'POST', path: '/rest/a', body: 'retention=0' })).toBe(
      refusedChange,
    )
    const label = `label_hold=${encodeURIComponent('[{"id":"a","hold":true}]')}`
    expect(await statusOf(other, { method: 'POST', path: '/rest/a', body: label })).toBe(200)
    expect(await statusOf(other, { method: 'POST', path: '/rest/a', body: 'index=false' })).toBe(
      refusedChange,
    )
  })

  test.each<[string, number]>([
    ['A+1y', 200],
    ['A+1y-1d', 400],
    ['N+1y', 200],
    ['0', 400],
    ['1000', 400],
    ['-1', 200],
    ['-2', 200],
  ])('what leaves -2 gets the minimum of its namespace: %s is %i', async (after, status) => {
    clock = start
    const path = await fresh('minimum', '?retention=-2')
    clock = start + month
    const body = `retention=${encodeURIComponent(after)}`
    expect(await send('minimum', { method: 'POST', path, body })).toBe(status)
    // It is no rule for new objects.
    await fresh('minimum', '?retention=N+1d')
  })

  test('is refused together with a hold, and on hold', async () => {
    const path = await fresh()
    expect(await send('n1', { method: 'POST', path, body: 'retention=-1&hold=true' })).toBe(400)
    expect(await send('n1', { method: 'POST', path, body: 'hold=true' })).toBe(200)
    for (const value of ['-1', '0', 'R+1y', 'C+tax']) {
      const body = `retention=${encodeURIComponent(value)}`
      expect(await send('n1', { method: 'POST', path, body })).toBe(400)
    }
  })
})

describe('the default of a namespace', () => {
  test('that has passed is none', async () => {
    expect(await shown(await fresh('past'), 'past')).toEqual(['0', ''])
  })

  test('may be a class, and is counted from the ingest', async () => {
    clock = start + 5 * day * 1000
    expect(await shown(await fresh('classed'), 'classed')).toEqual([seconds(2036, 0, 6), 'TAX'])
  })

  test('gives way to what the object before has, whose class counts anew', async () => {
    clock = start
    const path = await fresh('n2', '?retention=C+short')
    clock = start + 10 * day * 1000
    expect(await send('n2', { method: 'PUT', path, body: 'y' })).toBe(201)
    expect(await shown(path, 'n2')).toEqual([seconds(2026, 0, 12), 'Short'])
  })
})

describe('what is blocked', () => {
  const annotation = '?type=custom-metadata&annotation='
  const rows: [string, string, WireRequest, string, number, number][] = [
    ['reading', 'n1', {}, '', 200, 200],
    ['HEAD', 'n1', { method: 'HEAD' }, '', 200, 200],
    ['DELETE', 'n1', { method: 'DELETE' }, '', 403, 403],
    ['purge', 'n1', { method: 'DELETE' }, '?purge=true', 403, 403],
    ['a privileged DELETE', 'n1', { method: 'DELETE' }, '?privileged=true&reason=x', 200, 403],
    ['a privileged purge', 'n1', { method: 'DELETE' }, '?purge=true&privileged=true&reason=x', 200, 403],
    ['privilege in compliance mode', 'strict', { method: 'DELETE' }, '?privileged=true&reason=x', 403, 403],
    ['a new version', 'n2', { method: 'PUT', body: 'y' }, '', 403, 403],
    ['another object', 'n1', { method: 'PUT', body: 'y' }, '', 409, 409],
    ['shred', 'n1', { method: 'POST' }, '?shred=true', 200, 200],
    ['index', 'n1', { method: 'POST' }, '?index=false', 200, 200],
    ['retention that lengthens', 'n1', { method: 'POST' }, '?retention=-1', 200, 400],
    ['the owner', 'n1', { method: 'POST' }, '?owner=', 403, 403],
    ['the owner where the rule allows it', 'owners', { method: 'POST' }, '?owner=', 200, 200],
  ]
  for (const [rule, add, change] of [
    ['none', 403, 403],
    ['add', 201, 403],
    ['all', 201, 201],
  ] as const) {
    const put = { method: 'PUT', body: '<a/>' }
    rows.push([`adding an annotation, rule ${rule}`, rule, put, `${annotation}new`, add, add])
    rows.push([`replacing one, rule ${rule}`, rule, put, `${annotation}old`, change, change])
    const status = change === 201 ? 200 : 403
    rows.push([`deleting one, rule ${rule}`, rule, { method: 'DELETE' }, `${annotation}old`, status, status])
  }

  test.each(rows)('%s (%s)', async (_, namespace, request, query, retained, held) => {
    for (const [protection, status] of [
      ['retention=N%2B1y', retained],
      ['hold=true', held],
    ] as const) {
      const path = await fresh(namespace)
      const note = { method: 'PUT', path: `${path}${annotation}old`, body: '<old/>' }
      expect(await send(namespace, note)).toBe(201)
      expect(await send(namespace, { method: 'POST', path, body: protection })).toBe(200)
      expect(await send(namespace, { ...request, path: path + query })).toBe(status)
    }
  })
})

describe('a privileged DELETE', () => {
  const authorization = credentials('deleter', 'd01')
  test.each<[string, string, string, WireRequest, number]>([
    ['needs a reason', 'n1', '?privileged=true', {}, 400],
    ['needs a reason that says something', 'n1', '?privileged=true&reason=', {}, 400],
    [
      'takes a reason of 1,024 characters',
      'n1',
      `?privileged=true&reason=${'%C3%A4'.repeat(1_024)}`,
      {},
      200,
    ],
    ['takes none of 1,025', 'n1', `?privileged=true&reason=${'x'.repeat(1_025)}`, {}, 400],
    ['needs the permission', 'n1', '?privileged=true&reason=x', { authorization }, 403],
    ['needs enterprise mode', 'strict', '?privileged=true&reason=x', {}, 403],
    [
      'comes in a form too',
      'n1',
      '',
      { body: 'purge=true&privileged=true&reason=court order & more'.replace('& ', '%26 ') },
      200,
    ],
    ['comes in one of the two only', 'n1', '?privileged=true', { body: 'reason=x' }, 400],
    ['is one or is not', 'n1', '?privileged=yes&reason=x', {}, 400],
  ])('%s', async (_, namespace, query, request, status) => {
    const path = await fresh(namespace, '?retention=-1')
    expect(await send(namespace, { method: 'DELETE', ...request, path: path + query })).toBe(status)
    expect(await send(namespace, { method: 'HEAD', path })).toBe(status === 200 ? 404 : 200)
  })

  test('may be of an object that nothing protects', async () => {
    const path = await fresh()
    expect(await send('n1', { method: 'DELETE', path: `${path}?privileged=true&reason=x` })).toBe(200)
  })
})

test('a purge removes what was stored while versioning was on, and the versions come back with it', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  const host = 'v.m.hcp1.test'
  const open = (versioning: boolean): Promise<Emulator> => {
    const users = [{ user: 'n', password: 'n01' }]
    const tenants = [{ name: 'm', namespaces: [{ name: 'v', versioning }], users }]
    return startEmulator({ nodes: 1, data, config: { tenants } })
  }
  try {
    const put = { method: 'PUT', path: '/rest/a', host, body: 'x' }
    let first: string | undefined
    {
      await using on = await open(true)
      first = (await ask(on, put)).headers['x-hcp-versionid']
      expect(await statusOf(on, put)).toBe(201)
    }
    {
      await using off = await open(false)
      expect(await statusOf(off, { path: '/rest/a?version=list', host })).toBe(400)
      for (const method of ['GET', 'HEAD']) {
        expect(await statusOf(off, { method, path: `/rest/a?version=${first}`, host })).toBe(200)
      }
      expect(await statusOf(off, { method: 'DELETE', path: `/rest/a?version=${first}`, host })).toBe(400)
      expect(await statusOf(off, put)).toBe(409)
    }
    {
      await using again = await open(true)
      expect((await ask(again, { path: '/rest/a?version=list', host })).text.match(/<entry /g)).toHaveLength(
        2,
      )
    }
    await using off = await open(false)
    expect(await statusOf(off, { method: 'DELETE', path: '/rest/a?purge=true', host })).toBe(200)
    expect(await statusOf(off, { method: 'HEAD', path: `/rest/a?version=${first}`, host })).toBe(404)
    expect((await ask(off, { path: '/proc/statistics', host })).text).toContain('objectCount="0"')
    expect(await statusOf(off, put)).toBe(201)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})
