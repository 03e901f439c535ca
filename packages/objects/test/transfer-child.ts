import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { download } from '../src/lib/download.ts'
import { downloadTree } from '../src/lib/download-tree.ts'
import { ObjectClient } from '../src/lib/object-client.ts'
import { uploadTree } from '../src/lib/upload-tree.ts'

/** A process of its own that transfers, so that a test can kill it. Says a line for each thing done, at last its result as JSON. */
interface Work {
  readonly domain: string
  readonly addresses: readonly string[]
  readonly port: number
  readonly namespace: string
  readonly kind: 'upload' | 'download' | 'one'
  readonly local: string
  readonly path: string
  readonly journal?: string
  readonly named?: boolean
  readonly concurrency?: number
}

const work = JSON.parse(process.argv[2] ?? '') as Work
await using client = new ObjectClient(
  new Target(`${work.namespace}.m.${work.domain}`, {
    authorization: new NativeAuthorization('n', 'n01'),
    port: work.port,
    tls: false,
    addresses: [...work.addresses],
  }),
  { headersTimeout: 2_000, bodyTimeout: 2_000, retry: { minDelay: 1, maxDelay: 5 } },
)
const { concurrency = 4 } = work
const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const tree = {
  concurrency,
  ...(work.journal === undefined ? {} : { journal: work.journal }),
  onFile: ({ file, outcome }: { readonly file: string; readonly outcome: string }): void =>
    say({ file, outcome }),
}
const asText = (_name: string, value: unknown): unknown =>
  value instanceof Error ? `${value.name}: ${value.message}` : value

try {
  const result =
    work.kind === 'one'
      ? await download(client, work.path, work.local, {
          concurrency,
          partSize: 65_536,
          onProgress: ({ transferred }) => say({ transferred }),
        })
      : work.kind === 'download'
        ? await downloadTree(client, work.path, work.local, {
            ...tree,
            onProgress: ({ bytes }) => say({ bytes }),
          })
        : await uploadTree(client, work.local, work.path, {
            ...tree,
            ...(work.named === true
              ? {
                  name: ({ name }) =>
                    `${work.path}/${name.length}/${Math.random().toString(36).slice(2)}-${name}`,
                }
              : {}),
          })
  const peak = process.resourceUsage().maxRSS * 1024
  process.stdout.write(`${JSON.stringify({ result, peak }, asText)}\n`)
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error }, asText)}\n`)
}
