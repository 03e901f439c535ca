import { isIP } from 'node:net'
import { parse } from 'csv-parse/sync'

/** A General node whose logs a package has. */
export interface PackageNode {
  /** The number that selects the node in a download. `undefined` if neither the archive's name nor the address tells it. */
  readonly number: number | undefined
  /** Its back-end address. */
  readonly address: string
  /** The path of its archive in the package. */
  readonly archive: string
  /** All columns of its row, by their headings. */
  readonly columns: Readonly<Record<string, string>>
}

const blockStart = '"Node IP"'

/**
 * Reads the nodes of a package's `manifest.csv`: the block whose heading begins with `"Node IP"`, up to an empty line. Rows of what is
 * no General node have no address first, and are left out.
 */
export function readManifest(text: string): PackageNode[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const start = lines.findIndex((line) => line.startsWith(blockStart))
  if (start < 0) return []
  const after = lines.findIndex((line, index) => index > start && line.trim() === '')
  const block = lines.slice(start, after < 0 ? lines.length : after).join('\n')
  const [headings = [], ...rows] = parse(block, {
    relax_column_count: true,
    relax_quotes: true,
    trim: true,
  })
  return rows.flatMap((row) => {
    const [address = '', archive = ''] = row
    if (isIP(address) === 0 || archive === '') return []
    const columns = Object.fromEntries(row.map((value, index) => [headings[index] ?? `${index + 1}`, value]))
    return [{ number: nodeNumber(archive) ?? lastOctet(address), address, archive, columns }]
  })
}

/** `…/101.tar.bz2` and `…/node_101.tar.xz` are of node 101. */
export function nodeNumber(archive: string): number | undefined {
  const found = /^(?:node[_-]?)?(\d{1,5})(?:\.|$)/i.exec(archive.split('/').at(-1) ?? '')
  return found === null ? undefined : Number(found[1])
}

function lastOctet(address: string): number | undefined {
  return isIP(address) === 4 ? Number(address.split('.').at(-1)) : undefined
}
