import { Readable } from 'node:stream'

/** Characters of a chunk, about. */
const chunkLength = 65_536

/**
 * Text that is made only as fast as it is taken away. The first chunk is made before the promise resolves: what goes wrong until then can
 * still be answered with a status of its own. When the stream is destroyed, the generator is told to return.
 */
export async function textStream(pieces: AsyncGenerator<string, void>): Promise<Readable> {
  const chunks = joined(pieces)
  let first: IteratorResult<string, void> | undefined = await chunks.next()
  return new Readable({
    highWaterMark: chunkLength,
    read() {
      const next = first === undefined ? chunks.next() : Promise.resolve(first)
      first = undefined
      next.then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      )
    },
    destroy(error, done) {
      const end = (): void => done(error)
      chunks.return().then(end, end)
    },
  })
}

async function* joined(pieces: AsyncGenerator<string, void>): AsyncGenerator<string, void> {
  let chunk = ''
  for await (const piece of pieces) {
    chunk += piece
    if (chunk.length < chunkLength) continue
    yield chunk
    chunk = ''
  }
  if (chunk !== '') yield chunk
}
