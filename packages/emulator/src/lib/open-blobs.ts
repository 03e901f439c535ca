import type { Readable } from 'node:stream'
import type { Blob, BlobStore } from './blob-store.ts'

/** Streams of several blobs, opened at once: what is read to its end may be deleted meanwhile. All or none are open. */
export function openBlobs(store: BlobStore, blobs: readonly Blob[]): Readable[] {
  const streams: Readable[] = []
  try {
    for (const blob of blobs) streams.push(store.read(blob))
  } catch (error) {
    for (const stream of streams) stream.destroy()
    throw error
  }
  return streams
}
