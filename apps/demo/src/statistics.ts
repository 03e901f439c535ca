import type { Work } from './work.ts'

/** Asks the namespace how many objects it holds, and how many of them have annotations. */
export async function countObjects({
  connection,
  signal,
}: Work): Promise<{ all: number; annotated: number }> {
  const response = await connection.get('/proc/statistics', { signal })
  const text = await response.text()
  const attribute = (name: string): number =>
    Number(new RegExp(` ${name}="(\\d+)"`).exec(text)?.[1] ?? Number.NaN)
  return { all: attribute('objectCount'), annotated: attribute('customMetadataObjectCount') }
}
