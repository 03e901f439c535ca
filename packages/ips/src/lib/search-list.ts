import { readFile } from 'node:fs/promises'
import type { HostName } from './host-name.ts'

/**
 * The names to ask for, in order: a name with a dot comes before its search list, one without comes after.
 */
export function candidates(name: HostName, search: readonly string[]): string[] {
  if (name.absolute) return [name.ascii]
  const longer = search.map((domain) => `${name.ascii}.${domain}`).filter(({ length }) => length <= 253)
  return name.ascii.includes('.') ? [name.ascii, ...longer] : [...longer, name.ascii]
}

/** The system's search list; none where there is no `/etc/resolv.conf`. */
export async function systemSearchList(): Promise<readonly string[]> {
  try {
    return parseSearchList(await readFile('/etc/resolv.conf', 'utf8'))
  } catch {
    return []
  }
}

/** The domains of the last `search` or `domain` line (resolv.conf(5)). */
export function parseSearchList(text: string): readonly string[] {
  const last = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .findLast(([keyword]) => keyword === 'search' || keyword === 'domain')
  return (last?.slice(1) ?? []).map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== '')
}
