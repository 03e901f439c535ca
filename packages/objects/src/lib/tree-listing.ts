import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { HcpError } from '@hcp/connection'
import { RetryPolicy } from '@hcp/connection/support'
import { ObjectNotFoundError } from './errors.ts'
import type { DirectoryEntry } from './listing-entry.ts'
import type { ObjectMetadata } from './metadata.ts'
import type { ObjectClient } from './object-client.ts'
import { onDisk } from './transfer-errors.ts'

/** An object to be fetched, as its directory's listing describes it. */
export interface ListedObject extends Pick<ObjectMetadata, 'size' | 'hash' | 'etag' | 'versionId'> {
  readonly kind: 'object'
  /** Percent-encoded path below the tree's, without a slash in front. */
  readonly below: string
}

/** What is below a directory on HCP. A directory comes before what is in it. */
export type Listed =
  | ListedObject
  | { readonly kind: 'directory'; readonly below: string }
  | { readonly kind: 'symlink'; readonly below: string }
  | { readonly kind: 'unusable'; readonly below: string; readonly error: unknown }

/** Directories that are listed at a time. */
const ahead = 4
/** Entries of a directory that are kept in memory; the rest goes to the disk. */
const kept = 1_000
/** Of one directory: better than to leave out all that is below it. */
const retry = new RetryPolicy({ attempts: 8, maxDelay: 5_000 })

/**
 * Lists a tree. Each directory is read to its end before its entries are given: so a listing that breaks off is read anew, none holds
 * a connection while files are fetched, and memory is bounded, as long directories wait on the disk.
 *
 * @param root Percent-encoded. @param folder For what waits on the disk.
 * @throws what listing the root itself throws; another directory that cannot be listed is given as `unusable`.
 */
export async function* listedTree(
  client: ObjectClient,
  root: string,
  folder: string,
  signal: AbortSignal,
): AsyncGenerator<Listed, void> {
  const pending = ['']
  const listings: Promise<Listing>[] = []
  let number = 0
  try {
    for (;;) {
      while (listings.length < ahead && pending.length > 0)
        listings.push(list(client, root, pending.pop()!, join(folder, `listing-${number++}`), signal))
      const listing = await listings.shift()
      if (listing === undefined) return
      try {
        for await (const entry of entriesOf(listing)) {
          if (entry.kind === 'directory') pending.push(entry.below)
          yield entry
        }
      } finally {
        await listing.close()
      }
    }
  } finally {
    for (const listing of listings) await (await listing).close()
  }
}

interface Listing {
  readonly below: string
  readonly first: readonly Listed[]
  readonly more: FileHandle | undefined
  readonly failure: { readonly error: unknown } | undefined
  readonly close: () => Promise<void>
}

async function* entriesOf({ below, first, more, failure }: Listing): AsyncGenerator<Listed, void> {
  if (failure !== undefined) {
    if (below === '') throw failure.error
    // Deleted since its own directory was listed.
    if (failure.error instanceof ObjectNotFoundError && failure.error.status === 404) return
    yield { kind: 'unusable', below, error: failure.error }
    return
  }
  yield* first
  if (more === undefined) return
  for await (const line of more.readLines({ start: 0, autoClose: false })) yield JSON.parse(line) as Listed
}

/** Never rejects: what went wrong is in what it gives. */
async function list(
  client: ObjectClient,
  root: string,
  below: string,
  file: string,
  signal: AbortSignal,
): Promise<Listing> {
  let more: FileHandle | undefined
  const close = async (): Promise<void> => {
    if (more === undefined) return
    await more.close()
    await rm(file, { force: true })
  }
  for (let attempt = 1; ; attempt++) {
    const first: Listed[] = []
    try {
      await more?.truncate(0)
      let lines: string[] = []
      const flush = async (): Promise<void> => {
        more ??= await onDisk(file, 'write', open(file, 'a+'))
        await onDisk(file, 'write', more.appendFile(lines.join('')))
        lines = []
      }
      const path = below === '' ? root : `${root}/${below}`
      for await (const entry of client.list(path, { encoded: true, signal })) {
        const listed = listedOf(entry.encodedPath.slice(root.length + 1), entry)
        if (first.length < kept) first.push(listed)
        else if (lines.push(`${JSON.stringify(listed)}\n`) >= kept) await flush()
      }
      if (lines.length > 0) await flush()
      return { below, first, more, failure: undefined, close }
    } catch (error) {
      const again = HcpError.isInstance(error) && error.retryable && attempt < retry.attempts
      if (!again || signal.aborted) return { below, first: [], more: undefined, failure: { error }, close }
      await pause(retry.delay(attempt), undefined, { signal }).catch(() => {})
    }
  }
}

function listedOf(below: string, entry: DirectoryEntry): Listed {
  if (entry.type !== 'object') return { kind: entry.type, below }
  const { size, hash, etag, versionId } = entry
  return { kind: 'object', below, size, hash, etag, versionId }
}
