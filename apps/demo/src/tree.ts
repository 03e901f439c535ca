import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { FileEvent, ObjectClient, TransferSummary } from '@hcp/objects'
import { PathBuilder } from '@hcp/pathbuilder'
import type { Tell } from './scenes.ts'
import type { Work } from './work.ts'

/** What is to be stored where. */
export interface TreeJob {
  readonly folder: string
  /** On HCP. */
  readonly path: string
  /** File that remembers the names of the objects and what is done. */
  readonly journal: string
}

/** How a process of its own reaches the namespace. */
export interface Reach {
  readonly fqdn: string
  readonly port: number
  readonly dns: string
  readonly ca: string
}

const uploader = fileURLToPath(new URL('tree-uploader.ts', import.meta.url))
const files = 160
const killAt = 60

/** Stores a tree of files, each under a unique name, or goes on with it. */
export function storeTree(
  objects: ObjectClient,
  { folder, path, journal }: TreeJob,
  onFile: (event: FileEvent) => void,
  signal?: AbortSignal,
): Promise<TransferSummary> {
  const names = new PathBuilder({ initialPath: path })
  return objects.uploadTree(folder, path, {
    name: (file) => names.getUnique(file.name).objectPath,
    journal,
    onFile,
    ...(signal === undefined ? {} : { signal }),
  })
}

/**
 * A program that stores a tree is killed, and another goes on with it: each file is stored once. Then the tree is fetched and compared.
 *
 * @param folder Empty, to work in.
 */
export async function transferTree(folder: string, reach: Reach, work: Work, tell: Tell): Promise<void> {
  const { objects, checks, signal } = work
  const job = { folder: join(folder, 'tree'), path: '/rest/tree', journal: join(folder, 'journal') }
  const local = await makeTree(job.folder)

  const through = await uploadUntilKilled(job, reach, signal)
  checks.that(
    through >= killAt && through < files,
    `the uploader was killed after ${through} of ${files} files`,
  )
  tell(`a program stores ${files} files; kill -9`, `${through} were through`)

  const paths = new Map<string, string>()
  const upload = await storeTree(objects, job, ({ file, path }) => paths.set(file, path ?? ''), signal)
  report(upload, 'not stored', checks)
  tell(
    'the same again',
    `${upload.resumed} done before, ${upload.identical} found there, ${upload.stored} stored`,
  )

  const listed = await Array.fromAsync(objects.walk(job.path, { signal }))
  const found = listed.filter((entry) => entry.type === 'object')
  checks.that(found.length === files, `${job.path} has ${found.length} objects of ${files} files`)
  tell('walked', `${found.length} objects in ${listed.length - found.length} folders, each file once`)

  const back = join(folder, 'back')
  const download = await objects.downloadTree(job.path, back, { signal })
  report(download, 'not fetched', checks)
  for (const [name, content] of local) {
    const object = relative(job.path, paths.get(name) ?? '')
    const fetched = await readFile(join(back, object)).catch(() => undefined)
    checks.that(fetched?.equals(content) === true, `${name}: what was fetched is not what was stored`)
  }
  tell('fetched and compared', `${download.stored} files are byte by byte the same`)
  for (const { path } of found) await objects.delete(path, { signal })
}

function report(summary: TransferSummary, otherwise: string, checks: Work['checks']): void {
  checks.that(summary.files === files, `the tree has ${summary.files} files, not ${files}`)
  for (const { file, error } of summary.failed) checks.that(false, `${file}: ${otherwise}: ${error.message}`)
}

/** @returns What each file holds, by name. */
async function makeTree(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const tree = new Map<string, Buffer>()
  for (let index = 0; index < files; index++) {
    const name = `Abteilung ${index % 8}/año ${2000 + (index % 5)}/${index} %.txt`
    const content = Buffer.alloc(index * 400, `${name}\n`)
    tree.set(name, content)
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  return tree
}

/** @returns How many files were through when the program was gone. */
async function uploadUntilKilled(job: TreeJob, reach: Reach, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  const child: ChildProcess = spawn(process.execPath, [uploader, JSON.stringify({ job, reach })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'close')
  const kill = (): boolean => child.kill('SIGKILL')
  signal.addEventListener('abort', kill)
  let through = 0
  for await (const _ of createInterface({ input: child.stdout! })) if (++through === killAt) kill()
  await gone
  signal.removeEventListener('abort', kill)
  signal.throwIfAborted()
  return through
}
