import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { ObjectReader } from '@hcp/objects'
import { annotationName, type KeptFile, type Work } from './work.ts'

/**
 * Reads an object and its annotation back and compares them with the local file and with what HCP says of them.
 *
 * @returns The object, read to its end.
 */
export async function verify(
  { file, path, annotation }: KeptFile,
  { objects, checks, signal }: Work,
): Promise<ObjectReader> {
  const { name, size } = file
  const object = await objects.get(path, { annotation: annotationName, signal })
  // Hashed here too, so that the client is not taken at its word.
  const [remote, local] = await Promise.all([sha256(object), sha256(createReadStream(file.path, { signal }))])
  checks.that(remote.size === size, `${name}: ${remote.size} bytes were read back, ${size} were stored`)
  checks.that(remote.hash === local.hash, `${name}: what was read back is not what the file holds`)
  checks.that(object.verified, `${name}: the client has not compared what was read back with HCP's hash`)
  const { hash } = object.metadata
  checks.that(hash?.hex === remote.hash, `${name}: HCP says the hash is ${hash?.hex}, it is ${remote.hash}`)
  const told = Buffer.from(object.annotation ?? []).toString()
  checks.that(told === annotation, `${name}: its annotation is not what was stored`)
  return object
}

/** Lower-case hex, and bytes. */
async function sha256(content: AsyncIterable<Uint8Array>): Promise<{ hash: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of content) {
    hash.update(piece)
    size += piece.byteLength
  }
  return { hash: hash.digest('hex'), size }
}
