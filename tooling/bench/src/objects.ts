import { startBareServer } from './child.ts'
import { connectionClient, objectClient, type Verb } from './clients.ts'
import { kibibyte, sizeName, sizes } from './content.ts'
import { compare, type Comparison, contest, type Pace, type Score } from './contest.ts'

const inFlight = 32
const wanted = 0.8

/** `ObjectClient`, which checks hashes, against `Connection` without a check. */
export async function measureObjects(pace: Pace): Promise<readonly Comparison[]> {
  await using server = await startBareServer()
  const comparisons: Comparison[] = []
  for (const verb of ['GET', 'PUT'] satisfies Verb[]) {
    for (const size of sizes) {
      const contestants = [
        connectionClient(server.port, verb, size, inFlight),
        objectClient(server.port, verb, size, inFlight),
      ]
      const [bare, ours] = (await contest(contestants, inFlight, pace)) as [Score, Score]
      const what = `${verb} ${sizeName(size)}, ${inFlight} in flight`
      comparisons.push(compare(what, ours, bare, size === kibibyte ? wanted : undefined))
    }
  }
  return comparisons
}
