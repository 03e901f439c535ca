import { readFile, writeFile } from 'node:fs/promises'
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { measureAws } from './aws.ts'
import { measureCells } from './cells.ts'
import { gibibyte } from './content.ts'
import type { Pace } from './contest.ts'
import { measureEmulator } from './emulator.ts'
import { measureListing } from './listing.ts'
import { measureGrowth } from './logs/growth.ts'
import { measureBulk, measureSingle } from './logs/ingest.ts'
import { measureMemory } from './logs/memory.ts'
import { measureNames } from './names.ts'
import { measureObjects } from './objects.ts'
import { measureStreams } from './streams.ts'
import {
  comparisonTable,
  growthTable,
  ingestTable,
  listingTable,
  memoryTable,
  nameTable,
  streamTable,
} from './table.ts'

const usage = `Usage: pnpm bench [options]

  --rounds N     rounds that count, after one that does not (5)
  --seconds N    length of each turn in a round (1)
  --only A,B     of cells, objects, listing, streams, names, emulator, aws, logs (all), growth, memory (only when named)
  --entries N    how far growth grows (1,000,000)
  --quick        2 rounds of 0.2 s, streams of 128 MiB: to see that it works, not how fast
  --json FILE    write the figures there; without it a whole run renews results.json and the table in README.md
  --help`

/** What one part found: for people, and for programs. */
interface Part {
  readonly text: string
  readonly figures: unknown
}

const parts: Readonly<Record<string, (pace: Pace, streamSize: number) => Promise<Part>>> = {
  async cells(pace) {
    const figures = await measureCells(pace)
    return { text: comparisonTable('Connection against bare undici', figures), figures }
  },
  async objects(pace) {
    const figures = await measureObjects(pace)
    return {
      text: comparisonTable('ObjectClient with hash check against Connection without', figures),
      figures,
    }
  },
  async listing({ rounds }, size) {
    const figures = await measureListing(size < gibibyte ? 100_000 : 1_000_000, rounds)
    return { text: listingTable('A large folder, each listing in a process of its own', figures), figures }
  },
  async streams({ rounds }, size) {
    const figures = await measureStreams(size, rounds)
    return { text: streamTable('Streams, each in a process of its own', figures), figures }
  },
  async names(pace) {
    const figures = await measureNames(pace)
    return { text: nameTable('Unique names', figures), figures }
  },
  async emulator(pace) {
    const figures = await measureEmulator(pace)
    return {
      text: comparisonTable('The emulator against a bare server, same client', figures),
      figures,
    }
  },
  async aws(pace) {
    const figures = await measureAws(pace)
    const title = 'ObjectClient with hash check against the AWS SDK'
    if (figures !== undefined) return { text: comparisonTable(title, figures), figures }
    const text = `${title}\n\nnot installed here: pnpm --filter @hcp/bench add -D @aws-sdk/client-s3`
    return { text, figures: 'not installed' }
  },
  async logs(pace, size) {
    const figures = [
      ...(await measureBulk(size < gibibyte ? 20_000 : 200_000, pace.rounds)),
      ...(await measureSingle(pace)),
    ]
    return { text: ingestTable('The logs service against its database alone', figures), figures }
  },
  async growth() {
    const most = positive('entries', values.entries, 1_000_000)
    const sizes = [10_000, 100_000, 1_000_000, 10_000_000].filter((size) => size <= most)
    const figures = await measureGrowth(sizes)
    return { text: growthTable('The logs service while its store grows', figures), figures }
  },
  async memory(_pace, size) {
    const figures = await measureMemory(size)
    return { text: memoryTable('The logs service while much passes through it', figures), figures }
  },
}

/** They take many minutes. */
const onlyWhenNamed = new Set(['growth', 'memory'])

const { values } = parseArgs({
  options: {
    entries: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

function positive(name: string, text: string | undefined, usual: number): number {
  const value = text === undefined ? usual : Number(text)
  if (!(value > 0)) throw new RangeError(`--${name} must be a number above 0, not ${text}`)
  return value
}

async function main(): Promise<void> {
  const { quick } = values
  const rounds = Math.ceil(positive('rounds', values.rounds, quick ? 2 : 5))
  const seconds = positive('seconds', values.seconds, quick ? 0.2 : 1)
  const names = values.only?.split(',') ?? Object.keys(parts).filter((part) => !onlyWhenNamed.has(part))
  const unknown = names.find((name) => !Object.hasOwn(parts, name))
  if (unknown !== undefined)
    throw new RangeError(`--only knows ${Object.keys(parts).join(', ')}, not ${unknown}`)

  const facts = await machineFacts()
  const streamSize = quick ? gibibyte / 8 : gibibyte
  const heading = `${facts.date.slice(0, 10)}, Node ${facts.node}, undici ${facts.undici}, ${facts.processors} x ${facts.processor}, ${facts.system}
${rounds} rounds of ${seconds} s; load average before the run ${facts.loadAverage.toFixed(1)}`
  console.log(heading)
  const figures: Record<string, unknown> = {}
  const texts: string[] = [heading]
  for (const name of names) {
    const part = await parts[name]!({ rounds, seconds }, streamSize)
    figures[name] = part.figures
    texts.push(part.text)
    console.log(`\n${part.text}`)
  }

  const whole = !quick && values.only === undefined && values.json === undefined
  const file = values.json ?? (whole ? new URL('../results.json', import.meta.url) : undefined)
  const results = { ...facts, rounds, seconds, streamSize, ...figures }
  if (file !== undefined) await writeFile(file, `${JSON.stringify(results, undefined, 2)}\n`)
  if (whole) await renewReadme(texts.join('\n\n'))
}

async function machineFacts() {
  const manifest = await readFile(new URL(import.meta.resolve('undici/package.json')), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  return {
    date: new Date().toISOString(),
    node: process.versions.node,
    undici: version,
    system: `${platform()} ${arch()} ${release()}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: availableParallelism(),
    memory: totalmem(),
    loadAverage: loadavg()[0] ?? 0,
  }
}

/** Puts the latest table between the two marks. */
async function renewReadme(text: string): Promise<void> {
  const file = new URL('../README.md', import.meta.url)
  const readme = await readFile(file, 'utf8')
  const block = `<!-- latest -->\n\n\`\`\`text\n${text}\n\`\`\`\n\n<!-- /latest -->`
  await writeFile(
    file,
    readme.replace(/<!-- latest -->.*<!-- \/latest -->/s, () => block),
  )
}

if (values.help) console.log(usage)
else await main()
