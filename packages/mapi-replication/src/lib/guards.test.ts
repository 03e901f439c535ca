import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LinkAction } from './constants.ts'
import { EmulatedPair, type SystemName } from './emulated.testing.ts'
import { ReplicationError } from './errors.ts'
import { type LinkState, linkState } from './link-state.ts'
import type { ReplicationClient } from './replication-client.ts'

let clock = Date.now()
let pair: EmulatedPair
let clients: Readonly<Record<SystemName, ReplicationClient>>
beforeAll(async () => {
  pair = await EmulatedPair.start({ now: () => clock })
  pair.hcp.setReplication({ recoveryMs: 10_000 })
  clients = { hcp1: pair.client('hcp1'), hcp2: pair.client('hcp2') }
})
afterAll(() => pair[Symbol.asyncDispose]())

/** HCP says one thing at a time: behind these there may be another that is not to be seen. */
const hiding: ReadonlySet<LinkState> = new Set(['suspended', 'storageFull', 'unhealthy', 'pending'])

type Step =
  | { readonly kind: 'act'; readonly action: LinkAction; readonly link: string; readonly system: SystemName }
  | { readonly kind: 'later' | 'broken' | 'mended' }

const systems = ['hcp1', 'hcp2'] as const
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('act' as const),
      action: fc.constantFrom(...Object.values(LinkAction)),
      link: fc.constantFrom('a-a', 'a-p'),
      system: fc.constantFrom(...systems),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'later' as const }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'broken' }, { kind: 'mended' }, { kind: 'mended' }) },
)

/** Some steps of the way over and back, which chance alone seldom takes to its end. */
const way = fc
  .subarray(['failOver', 'beginRecovery', 'suspend', 'completeRecovery', 'resume'] as const)
  .map((actions) => actions.map((action): Step => ({ kind: 'act', action, link: 'a-p', system: 'hcp2' })))
const walk = fc
  .array(fc.oneof({ weight: 5, arbitrary: fc.tuple(step) }, { weight: 2, arbitrary: way }), {
    minLength: 5,
    maxLength: 25,
  })
  .map((parts): Step[] => parts.flat())

/** Has each action done, and each refused, whatever chance brings. */
const tour: Step[] = [
  ...(['resume', 'failBack', 'restore', 'suspend', 'suspend', 'resume'] as const).map((action) => ({
    action,
    link: 'a-a',
  })),
  ...(['failOver', 'failOver', 'restore', 'failBack'] as const).map((action) => ({ action, link: 'a-a' })),
  ...(['beginRecovery', 'completeRecovery', 'failOver', 'beginRecovery', 'completeRecovery'] as const).map(
    (action) => ({ action, link: 'a-p' }),
  ),
].map((each) => ({ ...each, kind: 'act', system: 'hcp2' }))

let isBroken = false

async function other({ kind }: Step): Promise<void> {
  if (kind === 'later') {
    clock += 20_000
    await pair.hcp.runServices()
  } else if (kind === 'broken') {
    pair.hcp.addLinkFault({ kind: 'broken' })
    isBroken = true
  } else {
    pair.hcp.clearLinkFaults()
    isBroken = false
  }
}

/** Back to where every run begins. */
async function reset(): Promise<void> {
  await other({ kind: 'mended' })
  for (const link of ['a-a', 'a-p']) {
    for (const action of ['resume', 'failBack', 'beginRecovery', 'completeRecovery'] as const)
      await clients.hcp2[action](link).catch(() => undefined)
  }
  await other({ kind: 'later' })
  for (const link of ['a-a', 'a-p']) expect((await clients.hcp2.link(link)).status).toBe('GOOD')
}

const codeOf = (error: unknown): string => {
  if (!ReplicationError.isInstance(error)) throw error
  return error.code
}

test(
  'whatever was done before: what the guards refuse HCP refuses, and what they let through it accepts, unless it knows more',
  { timeout: 120_000 },
  async () => {
    const outcomes = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(walk, async (steps) => {
        await reset()
        for (const each of steps) {
          if (each.kind !== 'act') {
            await other(each)
            continue
          }
          const { action, link, system } = each
          const client = clients[system]
          const state = linkState(await client.link(link))
          const where = `${action} of ${link} on ${system}, ${state}`
          const checked = await client[action](link).then(() => 'done', codeOf)
          outcomes.set(`${action} ${checked}`, (outcomes.get(`${action} ${checked}`) ?? 0) + 1)
          if (checked === 'REPLICATION_GUARD') {
            const unchecked = await client[action](link, { unchecked: true }).then(() => 'done', codeOf)
            expect(unchecked, `${where} is refused here only`).toBe('REPLICATION_REFUSED')
          } else if (checked !== 'done') {
            expect(checked, where).toBe('REPLICATION_REFUSED')
            expect(isBroken || hiding.has(state), `${where} is let through`).toBe(true)
          }
        }
      }),
      { numRuns: 30, examples: [[tour]] },
    )
    // Else it would prove nothing. The tour sees to it.
    for (const action of Object.values(LinkAction)) {
      expect([action, outcomes.has(`${action} done`)]).toEqual([action, true])
      expect([action, outcomes.has(`${action} REPLICATION_GUARD`)]).toEqual([action, true])
    }
  },
)
