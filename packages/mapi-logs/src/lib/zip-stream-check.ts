import { longestEnd, readZipEnd, ZipError } from './zip-end.ts'

const localSignature = Buffer.from('PK\u0003\u0004', 'latin1')
const directorySignature = 0x02014b50
const directoryHeader = 46
/** Bytes that are kept for the directory: enough for ten thousand entries, and HCP's packages have one per node. */
const keptSize = 1024 * 1024
/** Beginnings of entries that are remembered, those that only look like one included. */
const mostBeginnings = 200_000

/**
 * Watches a ZIP go by, and tells at its end whether it was whole as far as its structure tells: it begins with an entry, ends with
 * its directory, and each entry that the directory names began where it says. Keeps some megabytes at most.
 */
export class ZipStreamCheck {
  #received = 0
  #kept: Buffer[] = []
  #keptSize = 0
  /** The last bytes of what went by, where a signature may begin. */
  #overlap: Buffer = Buffer.alloc(0)
  readonly #beginnings = new Set<number>()

  /** Bytes so far. */
  get received(): number {
    return this.#received
  }

  add(piece: Uint8Array): void {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const seam = Buffer.concat([this.#overlap, chunk.subarray(0, 3)])
    this.#note(seam, this.#received - this.#overlap.length)
    this.#note(chunk, this.#received)
    this.#received += chunk.length
    this.#overlap = Buffer.from(
      chunk.length >= 3 ? chunk.subarray(-3) : Buffer.concat([this.#overlap, chunk]).subarray(-3),
    )
    this.#kept.push(chunk)
    this.#keptSize += chunk.length
    while (this.#keptSize - (this.#kept[0]?.length ?? 0) >= keptSize) {
      this.#keptSize -= this.#kept.shift()?.length ?? 0
    }
  }

  #note(bytes: Buffer, offset: number): void {
    for (let at = bytes.indexOf(localSignature); at >= 0; at = bytes.indexOf(localSignature, at + 4))
      if (this.#beginnings.size < mostBeginnings) this.#beginnings.add(offset + at)
  }

  /** @throws {ZipError} if what went by was no whole ZIP. */
  finish(): void {
    if (!this.#beginnings.has(0)) throw new ZipError('it does not begin as a ZIP does')
    const kept = Buffer.concat(this.#kept)
    const keptFrom = this.#received - kept.length
    const tail = kept.subarray(-longestEnd)
    const end = readZipEnd(tail, this.#received - tail.length)
    let at = end.directoryOffset - keptFrom
    // What has gone by cannot be looked into; that it ends where it has to is known.
    if (at < 0) return
    const directoryEnd = at + end.directorySize
    for (let entry = 0; entry < end.entries; entry++) {
      if (at + directoryHeader > directoryEnd || kept.readUInt32LE(at) !== directorySignature)
        throw new ZipError('its directory is damaged')
      const offset = kept.readUInt32LE(at + 42)
      // Beyond 4 GiB the place is in a further field; that there is a beginning at all is then proved by the file's check only.
      if (offset !== 0xffffffff && !this.#beginnings.has(offset))
        throw new ZipError('an entry of its directory is not where it says')
      at +=
        directoryHeader + kept.readUInt16LE(at + 28) + kept.readUInt16LE(at + 30) + kept.readUInt16LE(at + 32)
    }
    if (at !== directoryEnd) throw new ZipError('its directory is damaged')
  }
}
