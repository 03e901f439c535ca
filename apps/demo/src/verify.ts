import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { annotationParams, type StoredObject, type Work } from './work.ts'

/** Reads an object and its annotation back and compares them with the local file and with what HCP says of them. */
export async function verify(
  { file, path, annotation }: StoredObject,
  { connection, checks, figures, signal }: Work,
): Promise<void> {
  const { name, size } = file
  const read = await connection.get(path, { signal })
  if (checks.that(read.status === 200, `${name}: cannot be read back, status ${read.status}`)) {
    const [remote, local] = await Promise.all([sha256(read), sha256(createReadStream(file.path, { signal }))])
    figures.add(read, remote.size)
    checks.that(remote.size === size, `${name}: ${remote.size} bytes were read back, ${size} were stored`)
    checks.that(remote.hash === local.hash, `${name}: what was read back is not what the file holds`)
    const named = read.header('x-hcp-hash')
    checks.that(
      named === `SHA-256 ${remote.hash}`,
      `${name}: X-HCP-Hash is ${named}, but the content has SHA-256 ${remote.hash}`,
    )
  } else await read.dump()

  const found = await connection.get(path, { params: annotationParams, signal })
  const text = await found.text()
  figures.add(found, Buffer.byteLength(text))
  checks.that(found.status === 200 && text === annotation, `${name}: its annotation is not what was stored`)
}

/** Upper-case hex, as HCP writes it, and bytes. */
async function sha256(content: AsyncIterable<Uint8Array>): Promise<{ hash: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of content) {
    hash.update(piece)
    size += piece.byteLength
  }
  return { hash: hash.digest('hex').toUpperCase(), size }
}
