import type { Blob } from '../blob-store.ts'
import type { Annotation, Version } from '../namespace.ts'
import type { Side } from './side.ts'

/** What carries data between two systems: it fails, or takes its time, as the link does. */
export type Carrier = (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>

/** Blobs that many objects have in common are carried over once: ids of one store to blobs of the other. */
export type CommonBlobs = Map<string, Blob>

/** Versions that refer to one store's data only, and what had to be copied into it. */
export interface Localized {
  readonly versions: readonly Version[]
  readonly copied: readonly Blob[]
  readonly bytes: number
}

export interface Transfer {
  readonly path: string
  readonly from: Side
  readonly to: Side
  readonly carry: Carrier
  readonly common: CommonBlobs
}

/** Copies to `to` whatever data the versions have that is only with `from`; on failure nothing of it is left. */
export async function localize(versions: readonly Version[], transfer: Transfer): Promise<Localized> {
  const { from, to, carry, common } = transfer
  const entry = to.namespace.find(transfer.path)
  const own = entry?.kind === 'object' ? entry.versions.flatMap(blobsOf) : []
  const ids = new Set(own.map(({ id }) => id))
  const byContent = new Map(own.map((blob) => [contentOf(blob), blob]))
  const copied: Blob[] = []
  let bytes = 0
  const take = async (blob: Blob): Promise<Blob> => {
    const there = ids.has(blob.id) ? blob : (byContent.get(contentOf(blob)) ?? common.get(blob.id))
    if (there !== undefined) return there
    const source = from.system.blobs.read(blob)
    try {
      const made = await to.system.blobs.write(
        carry(source as AsyncIterable<Buffer>),
        to.namespace.settings.hashScheme,
      )
      bytes += blob.size
      byContent.set(contentOf(blob), made)
      if (blob.shared) {
        const shared: Blob = { ...made, shared: true }
        common.set(blob.id, shared)
        return shared
      }
      copied.push(made)
      return made
    } finally {
      source.destroy()
    }
  }
  try {
    const list: Version[] = []
    for (const version of versions) {
      const data = version.marker ? version.data : await take(version.data)
      const annotations: Annotation[] = []
      for (const annotation of version.annotations)
        annotations.push({ ...annotation, blob: await take(annotation.blob) })
      list.push({ ...version, data, annotations })
    }
    return { versions: list, copied, bytes }
  } catch (error) {
    for (const blob of copied) void to.system.blobs.delete(blob)
    throw error
  }
}

function blobsOf({ marker, data, annotations }: Version): Blob[] {
  const blobs = annotations.map(({ blob }) => blob)
  return marker ? blobs : [data, ...blobs]
}

function contentOf({ md5, size }: Blob): string {
  return `${md5} ${size}`
}
