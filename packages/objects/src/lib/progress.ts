/** How far a transfer is, in bytes of content. */
export interface Progress {
  /** Falls back when a transfer has to begin again. */
  readonly transferred: number
  /** `undefined` where nobody knows beforehand. */
  readonly total: number | undefined
}

export type OnProgress = (progress: Progress) => void

export function checkProgress(onProgress: unknown): void {
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError('onProgress must be a function')
}

/** Passes pieces on and tells how many bytes went by. */
export async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  total: number | undefined,
  onProgress: OnProgress,
): AsyncGenerator<Uint8Array, void> {
  let transferred = 0
  onProgress({ transferred, total })
  for await (const chunk of chunks) {
    yield chunk
    transferred += chunk.byteLength
    onProgress({ transferred, total })
  }
}
