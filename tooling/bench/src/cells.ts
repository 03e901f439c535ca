import { startBareServer } from './child.ts'
import { connectionClient, undiciClient, type Verb } from './clients.ts'
import { sizeName, sizes } from './content.ts'
import { compare, type Comparison, contest, type Pace, type Score } from './contest.ts'

const wanted = 0.95

/** `Connection` against bare undici: GET and PUT, small and larger, one and many at a time. */
export async function measureCells(pace: Pace): Promise<readonly Comparison[]> {
  await using server = await startBareServer()
  const { port } = server
  const comparisons: Comparison[] = []
  for (const verb of ['GET', 'PUT'] satisfies Verb[]) {
    for (const size of sizes) {
      for (const inFlight of [1, 32]) {
        const contestants = [
          undiciClient(port, verb, size, inFlight),
          connectionClient(port, verb, size, inFlight),
          connectionClient(port, verb, size, inFlight, { verifyHash: true }),
        ]
        const [bare, ours, verified] = (await contest(contestants, inFlight, pace)) as [Score, Score, Score]
        const what = `${verb} ${sizeName(size)}, ${inFlight} in flight`
        comparisons.push(compare(what, ours, bare, wanted), compare(what, verified, bare))
      }
    }
  }
  return comparisons
}
