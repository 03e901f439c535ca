import { createHash } from 'node:crypto'
import { Connection, type Target } from '@hcp/connection'

/** What one system has of the objects that it ought to have. */
export interface Verified {
  readonly intact: number
  readonly missing: readonly string[]
  readonly damaged: readonly string[]
}

/** Reads all these objects from one system, and compares their content. */
export async function verify(
  target: Target,
  objects: readonly { readonly path: string; readonly hash: string }[],
): Promise<Verified> {
  const connection = new Connection(target)
  const missing: string[] = []
  const damaged: string[] = []
  const waiting = objects.values()
  const work = async (): Promise<void> => {
    for (const { path, hash } of waiting) {
      const response = await connection.get(path, { buffered: true, system: 'primary' })
      const content = await response.bytes()
      if (response.status === 404) missing.push(path)
      else if (response.status !== 200) throw new Error(`GET ${path}: ${response.status}`)
      else if (createHash('sha256').update(content).digest('hex') !== hash) damaged.push(path)
    }
  }
  try {
    await Promise.all(Array.from({ length: 8 }, work))
  } finally {
    await connection.close()
  }
  return { intact: objects.length - missing.length - damaged.length, missing, damaged }
}
