import { PathBuilder } from '@hcp/pathbuilder'
import { v1 } from 'uuid'
import { compare, type Comparison, contest, type Contestant, type Pace, type Score } from './contest.ts'

const wanted = 0.5
/** Names made between two looks at the clock. */
const batch = 10_000

/** `getUnique` (a name, its folder, the path of both) against the bare library's version-1 UUIDs. */
export async function measureNames(pace: Pace): Promise<readonly Comparison[]> {
  const builder = new PathBuilder()
  const annotating = new PathBuilder({ annotation: true })
  const contestants = [
    maker('uuid v1', () => v1()),
    maker('getUnique', () => builder.getUnique('a file.txt').objectPath),
    maker('getUnique, annotation', () => annotating.getUnique('a file.txt').annotation ?? ''),
  ]
  const [bare, ours, annotated] = (await contest(contestants, 1, pace)).map(perName) as [Score, Score, Score]
  return [compare('names', ours, bare, wanted), compare('names with annotation', annotated, bare)]
}

function maker(name: string, make: () => string): Contestant {
  let characters = 0
  return {
    name,
    // oxlint-disable-next-line typescript/require-await
    async operate() {
      for (let index = 0; index < batch; index++) characters += make().length
    },
    async close() {
      // Names that nobody looks at could be left unmade.
      if (characters === 0) throw new Error(`${name} made no names`)
    },
  }
}

const perName = (score: Score): Score => ({
  ...score,
  rate: score.rate * batch,
  rates: score.rates.map((rate) => rate * batch),
  p50: score.p50 / batch,
  p99: score.p99 / batch,
  processor: score.processor / batch,
})
