import { expect, test } from 'vitest'
import * as fc from 'fast-check'
import type { Client } from './two-systems.testing.ts'
import { TwoSystems } from './two-systems.testing.ts'

interface ContentStep {
  readonly do: 'put' | 'delete' | 'annotate' | 'hold' | 'mkdir' | 'purge'
  readonly side: 0 | 1
  readonly path: number
  readonly namespace: string
}
interface LinkStep {
  readonly do: 'cut' | 'mend' | 'settle'
}
interface SystemStep {
  readonly do: 'stop' | 'start'
  readonly side: 0 | 1
}
type Step = ContentStep | LinkStep | SystemStep

const names = ['a', 'b', 'a/x', 'c/d/e', 'c/d/f'] as const
/** Where there are versions, no name is one of an object and of a directory: what is deleted of the one would go. */
const nameOf = ({ path, namespace }: ContentStep): string =>
  namespace === 'n1' ? names[path]! : names[path]!.replace('a/x', 'ax')
const side = fc.constantFrom(0, 1)
const change: fc.Arbitrary<ContentStep> = fc.record({
  do: fc.constantFrom('put', 'put', 'put', 'delete', 'delete', 'annotate', 'hold', 'mkdir', 'purge'),
  side,
  path: fc.nat(names.length - 1),
  namespace: fc.constantFrom('n1', 'n1', 'n2'),
})
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: change },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom('cut', 'mend', 'settle') }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('stop', 'start'), side }) },
  ),
  { minLength: 5, maxLength: 40 },
)

test('whatever both sides did while apart, they are equal afterwards, and nothing that was acknowledged is lost or doubled', async () => {
  await using systems = await TwoSystems.start()
  const { hcp } = systems
  const clients = [systems.one, systems.other] as const
  let run = 0
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const folder = `run${++run}`
      let content = 0
      /** Contents that a client stored, and has not deleted knowingly. */
      const kept = new Map<string, string>()
      const down = new Set<number>()
      for (const step of list) {
        if (step.do === 'cut') hcp.addLinkFault({ kind: 'broken' })
        else if (step.do === 'mend') hcp.clearLinkFaults()
        else if (step.do === 'settle') await hcp.replicated()
        else if (step.do === 'stop') {
          down.add(step.side)
          await clients[step.side].stop()
        } else if (step.do === 'start') {
          down.delete(step.side)
          await clients[step.side].start()
        } else if ('path' in step && !down.has(step.side)) {
          await act(clients[step.side], step, `${folder}/${nameOf(step)}`, `${folder} ${++content}`, kept)
        }
      }
      hcp.clearLinkFaults()
      for (const index of down) await clients[index]!.start()
      await hcp.replicated()
      for (const namespace of ['n1', 'n2']) {
        const [one, other] = await Promise.all(clients.map((client) => client.everything(namespace, folder)))
        expect(one).toEqual(other)
        const figures = clients.map((client) => client.ask('GET', '/proc/statistics', { namespace }))
        const [first, second] = await Promise.all(figures)
        expect(second!.text).toBe(first!.text)
        const all = await allContents(systems.one, namespace, folder)
        for (const [text, where] of kept) {
          if (where !== namespace) continue
          const found = all.filter((each) => each === text).length
          expect([text, found]).toEqual([text, 1])
        }
        if (namespace === 'n1') expect(new Set(all).size).toBe(all.length)
      }
    }),
    { numRuns: 60 },
  )
}, 120_000)

async function act(
  client: Client,
  step: ContentStep,
  path: string,
  text: string,
  kept: Map<string, string>,
): Promise<void> {
  const { namespace } = step
  switch (step.do) {
    case 'put':
      if ((await client.put(path, text, namespace)).status === 201) kept.set(text, namespace)
      break
    case 'delete': {
      const seen = await client.get(path, namespace)
      const done = await client.delete(path, namespace)
      // Another may have come in between: then it is not known which of them went.
      if (done.status === 200 && namespace === 'n1') kept.delete(seen.text)
      if (done.status === 200 && namespace === 'n1' && seen.status !== 200) kept.clear()
      break
    }
    case 'purge': {
      const before = await versionsOf(client, namespace, path)
      const done = await client.ask('DELETE', `${path}?purge=true`, { namespace })
      if (done.status !== 200) break
      for (const each of before) kept.delete(each)
      break
    }
    case 'annotate':
      await client.ask('PUT', `${path}?type=custom-metadata&annotation=a`, {
        body: `<a>${text}</a>`,
        namespace,
      })
      break
    case 'hold':
      await client.ask('POST', `${path}?index=false`, { namespace })
      break
    default:
      await client.ask('PUT', `${path}${namespace === 'n2' ? '.d' : ''}?type=directory`, { namespace })
  }
}

async function versionsOf(client: Client, namespace: string, path: string): Promise<string[]> {
  const list = await client.ask('GET', `${path}?version=list`, { namespace })
  const current = await client.get(path, namespace)
  const texts = current.status === 200 ? [current.text] : []
  for (const [, id] of list.text.matchAll(/state="created" version="(\d+)"/g))
    texts.push((await client.ask('GET', `${path}?version=${id}`, { namespace })).text)
  return texts
}

/** Every version's content below a folder, and what was moved from there. */
async function allContents(client: Client, namespace: string, folder: string): Promise<string[]> {
  const found: string[] = []
  const { text } = await client.ask('GET', '.lost+found/replication', { namespace })
  const links = [...text.matchAll(/urlName="([^"]*)"/g)].map(
    ([, id]) => `.lost+found/replication/${id}/${folder}`,
  )
  for (const root of [folder, ...links]) {
    for (const [path] of await client.everything(namespace, root)) {
      if (path.endsWith('/')) continue
      if (namespace === 'n1') {
        const { status, text: own } = await client.get(path, namespace)
        if (status === 200) found.push(own)
      } else {
        const list = await client.ask('GET', `${path}?version=list`, { namespace })
        for (const [, id] of list.text.matchAll(/state="created" version="(\d+)"/g))
          found.push((await client.ask('GET', `${path}?version=${id}`, { namespace })).text)
      }
    }
  }
  return found
}
