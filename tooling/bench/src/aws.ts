import { startBareServer } from './child.ts'
import { checked, objectClient, type Verb } from './clients.ts'
import { content, kibibyte, sizeName } from './content.ts'
import { compare, type Comparison, contest, type Contestant, type Pace, type Score } from './contest.ts'

const inFlight = 32
const wanted = new Map([
  [kibibyte, 5],
  [128 * kibibyte, 2],
])

/** What is used of the SDK; it need not be installed. */
interface Sdk {
  readonly S3Client: new (options: object) => { send(command: object): Promise<unknown>; destroy(): void }
  readonly GetObjectCommand: new (input: object) => object
  readonly PutObjectCommand: new (input: object) => object
}

// Not a literal, so that neither the compiler nor the check of dependencies asks for it.
const sdkName: string = '@aws-sdk/client-s3'

async function loadSdk(): Promise<Sdk | undefined> {
  try {
    return (await import(sdkName)) as Sdk
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** `ObjectClient`, which checks hashes, against the AWS SDK with its own, on the same server; `undefined` without the SDK. */
export async function measureAws(pace: Pace): Promise<readonly Comparison[] | undefined> {
  const sdk = await loadSdk()
  if (sdk === undefined) return undefined
  await using server = await startBareServer()
  const comparisons: Comparison[] = []
  for (const verb of ['GET', 'PUT'] satisfies Verb[]) {
    for (const [size, ratio] of wanted) {
      const contestants = [
        sdkClient(sdk, server.port, verb, size),
        objectClient(server.port, verb, size, inFlight),
      ]
      const [theirs, ours] = (await contest(contestants, inFlight, pace)) as [Score, Score]
      comparisons.push(compare(`${verb} ${sizeName(size)}, ${inFlight} in flight`, ours, theirs, ratio))
    }
  }
  return comparisons
}

/** Default settings, but for the address: signed requests, and CRC-32 of what is sent and received. */
function sdkClient(
  { S3Client, GetObjectCommand, PutObjectCommand }: Sdk,
  port: number,
  verb: Verb,
  size: number,
): Contestant {
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'none',
    forcePathStyle: true,
    credentials: { accessKeyId: 'bench', secretAccessKey: 'bench01' },
  })
  const object = { Bucket: 'rest', Key: String(size) }
  const bytes = content(size)
  return {
    name: 'client-s3',
    operate:
      verb === 'GET'
        ? async () => {
            const { Body } = (await client.send(new GetObjectCommand(object))) as {
              Body: { transformToByteArray(): Promise<Uint8Array> }
            }
            checked((await Body.transformToByteArray()).length === size, 'GetObject')
          }
        : async () => {
            await client.send(new PutObjectCommand({ ...object, Body: bytes }))
          },
    async close() {
      client.destroy()
    },
  }
}
