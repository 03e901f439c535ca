import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { type Entry, getFileNameLowLevel, openPromise, type ZipFile as YauzlFile } from 'yauzl'
import type { Bytes } from './bytes.ts'
import { Collector } from './collector.ts'
import { onDisk } from './errors.ts'
import { longestEnd, readZipEnd, ZipError } from './zip-end.ts'

const folderSuffix = '/'
const hasDescriptor = 0x8
/** Bytes of what may follow an entry that was written without knowing its size. */
const descriptorSizes: ReadonlySet<number> = new Set([0, 12, 16, 20, 24])

export interface ZipEntry {
  readonly name: string
  readonly folder: boolean
  /** Bytes, unpacked. */
  readonly size: number
  /** Bytes in the ZIP. */
  readonly packed: number
  readonly modified: Date
  readonly raw: Entry
}

/** A ZIP on disk, whose directory has been read. Its content is whole when each entry has been read to its end without an error. */
export class ZipArchive {
  readonly entries: readonly ZipEntry[]
  readonly #zip: YauzlFile
  readonly #directoryOffset: number

  private constructor(zip: YauzlFile, entries: readonly ZipEntry[], directoryOffset: number) {
    this.#zip = zip
    this.entries = entries
    this.#directoryOffset = directoryOffset
  }

  /**
   * @param mostEntries More are refused.
   * @throws {ZipError} if it is no ZIP, or its structure is not whole.
   */
  static async open(file: string, mostEntries: number): Promise<ZipArchive> {
    const { entries: announced, directoryOffset } = await readEnd(file)
    if (announced > mostEntries) throw new ZipError(`it has more than ${mostEntries} entries`)
    let zip: YauzlFile | undefined
    try {
      // Names are checked by the package's reader, and where only the content counts by nobody.
      zip = await openPromise(file, { autoClose: false, decodeStrings: false })
      const entries: ZipEntry[] = []
      for await (const raw of zip.eachEntry()) {
        const name = getFileNameLowLevel(raw.generalPurposeBitFlag, raw.fileNameRaw, raw.extraFields, true)
        entries.push({
          name,
          folder: name.endsWith(folderSuffix),
          size: raw.uncompressedSize,
          packed: raw.compressedSize,
          modified: raw.getLastModDate(),
          raw,
        })
      }
      return new ZipArchive(zip, entries, directoryOffset)
    } catch (error) {
      zip?.close()
      if (error instanceof ZipError) throw error
      throw new ZipError(error instanceof Error ? error.message : String(error), { cause: error })
    }
  }

  /** An entry's content, unpacked. It ends in an error unless it has its size and checksum. */
  async *content({ raw }: ZipEntry): AsyncGenerator<Uint8Array, void> {
    if (!raw.canDecodeFileData())
      throw new ZipError('it is encrypted, or packed in a way that is not read here')
    const stream = await this.#zip.openReadStreamPromise(raw)
    let crc = 0
    for await (const chunk of stream as Bytes) {
      crc = crc32(chunk, crc)
      yield chunk
    }
    if (crc >>> 0 !== raw.crc32 >>> 0) throw new ZipError('its checksum is another')
  }

  /**
   * Reads all of it, and proves that it is whole: every entry with its size and checksum, one behind the other, without anything
   * between them.
   *
   * @param onProgress Bytes of content, unpacked.
   */
  async verify(signal?: AbortSignal, onProgress?: (bytes: number) => void): Promise<void> {
    if (this.entries.length === 0) throw new ZipError('it has no entries')
    const inOrder = this.entries.toSorted(
      (a, b) => a.raw.relativeOffsetOfLocalHeader - b.raw.relativeOffsetOfLocalHeader,
    )
    const collector = new Collector()
    let end = 0
    let loose = false
    const checkGap = (next: number): void => {
      const gap = next - end
      if (gap !== 0 && !(loose && descriptorSizes.has(gap)))
        throw new ZipError('its entries are not one behind the other')
    }
    for (const entry of inOrder) {
      const { raw } = entry
      checkGap(raw.relativeOffsetOfLocalHeader)
      const local = (await this.#zip.readLocalFileHeaderPromise(raw, {})) as {
        fileDataStart: number
        fileName: Buffer
      }
      if (!local.fileName.equals(raw.fileNameRaw)) throw new ZipError('an entry has two names')
      end = local.fileDataStart + raw.compressedSize
      loose = (raw.generalPurposeBitFlag & hasDescriptor) !== 0
      for await (const chunk of this.content(entry)) {
        signal?.throwIfAborted()
        onProgress?.(chunk.length)
        collector.passed(chunk.length)
      }
    }
    checkGap(this.#directoryOffset)
  }

  close(): void {
    this.#zip.close()
  }
}

async function readEnd(file: string): Promise<{ entries: number; directoryOffset: number }> {
  const handle = await onDisk(file, 'read', open(file))
  try {
    const { size } = await handle.stat()
    const length = Math.min(size, longestEnd)
    const tail = Buffer.alloc(length)
    let read = 0
    while (read < length) {
      const { bytesRead } = await onDisk(
        file,
        'read',
        handle.read(tail, read, length - read, size - length + read),
      )
      if (bytesRead === 0) break
      read += bytesRead
    }
    return readZipEnd(tail, size - length)
  } finally {
    await handle.close()
  }
}
