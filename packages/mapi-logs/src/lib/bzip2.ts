import type { Bytes } from './bytes.ts'

/** A block is at most 900,000 bytes before the run lengths at its beginning are undone, and then at most 46 MB. */
const mostSelectors = 18_002
const groupSize = 50
const longestCode = 20
const pieceSize = 65_536
const blockMagic = 0x314159265359
const endMagic = 0x177245385090

export class Bzip2Error extends Error {
  override name = 'Bzip2Error'
}

const damaged = (what: string): Bzip2Error => new Bzip2Error(`this is no whole bzip2 content: ${what}`)

const crcTable: Int32Array = Int32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1
  return value
})

/** Gives bits of what has been taken in. The caller sees to it that there is enough, or knows that nothing more comes. */
class Bits {
  #pieces: Buffer[] = []
  #current: Buffer = Buffer.alloc(0)
  #at = 0
  #waiting = 0
  #window = 0
  #count = 0

  add(piece: Uint8Array): void {
    this.#pieces.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))
    this.#waiting += piece.byteLength
  }

  /** Whole bytes that have not been read. */
  get left(): number {
    return this.#waiting + this.#current.length - this.#at
  }

  #byte(): number {
    while (this.#at === this.#current.length) {
      const next = this.#pieces.shift()
      if (next === undefined) throw damaged('it ends too early')
      this.#waiting -= next.length
      this.#current = next
      this.#at = 0
    }
    return this.#current[this.#at++] as number
  }

  /** @param count At most 24. */
  read(count: number): number {
    while (this.#count < count) {
      this.#window = ((this.#window << 8) | this.#byte()) & 0x7fffffff
      this.#count += 8
    }
    this.#count -= count
    return (this.#window >>> this.#count) & ((1 << count) - 1)
  }

  bit(): number {
    if (this.#count === 0) {
      this.#window = this.#byte()
      this.#count = 8
    }
    this.#count -= 1
    return (this.#window >>> this.#count) & 1
  }

  align(): void {
    this.#count -= this.#count % 8
  }
}

interface Codes {
  readonly shortest: number
  readonly longest: number
  readonly limit: Int32Array
  readonly base: Int32Array
  readonly symbols: Uint16Array
}

/**
 * Undoes bzip2, block by block as the reader asks for more, several streams in a row too. (The usual package decodes all that it has
 * left at the end of its input at once, whatever the reader does: content that was made for it can fill the memory with that.)
 *
 * @throws {Bzip2Error} if the content is damaged or cut off; every block's checksum is compared.
 */
export async function* bunzip2(source: Bytes): AsyncGenerator<Uint8Array, void> {
  const bits = new Bits()
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  /** Reads until there is enough for a whole block, or all. */
  const fill = async (bytes: number): Promise<void> => {
    while (!ended && bits.left < bytes) {
      const { done, value } = await iterator.next()
      if (done === true) ended = true
      else bits.add(value)
    }
  }
  try {
    await fill(4)
    do {
      if (bits.read(24) !== 0x425a68) throw damaged('it does not begin as one')
      const level = bits.read(8) - 0x30
      if (level < 1 || level > 9) throw damaged(`there is no level ${level}`)
      const block = new Int32Array(level * 100_000)
      let combined = 0
      for (;;) {
        // A block that does not compress takes a little more than its content.
        await fill(level * 100_000 + 65_536)
        const magic = bits.read(24) * 0x1000000 + bits.read(24)
        const expected = (bits.read(16) << 16) | bits.read(16)
        if (magic === endMagic) {
          if (expected !== combined) throw damaged('its checksum is another')
          bits.align()
          break
        }
        if (magic !== blockMagic) throw damaged('a block does not begin as one')
        const pieces: Uint8Array[] = []
        const crc = decodeBlock(bits, block, pieces)
        if (crc !== expected) throw damaged('the checksum of a block is another')
        combined = ((combined << 1) | (combined >>> 31)) ^ crc
        yield* pieces
      }
      await fill(4)
    } while (bits.left > 0)
  } finally {
    if (!ended) await iterator.return?.()
  }
}

/** Decodes one block. @returns Its checksum. */
function decodeBlock(bits: Bits, block: Int32Array, pieces: Uint8Array[]): number {
  if (bits.bit() === 1) throw damaged('it is of a form that is no longer in use')
  const origin = bits.read(24)
  const used = readAlphabet(bits)
  const size = used.length + 2
  const { selectors, codes } = readCodes(bits, size)
  const { length, counts } = readSymbols(bits, block, used, selectors, codes)
  if (origin >= length) throw damaged('a block has no beginning')
  return undoTransform(block, length, origin, counts, pieces)
}

function readAlphabet(bits: Bits): Uint8Array {
  const groups = bits.read(16)
  const used: number[] = []
  for (let group = 0; group < 16; group++) {
    if ((groups & (0x8000 >>> group)) === 0) continue
    const members = bits.read(16)
    for (let member = 0; member < 16; member++)
      if ((members & (0x8000 >>> member)) !== 0) used.push(group * 16 + member)
  }
  if (used.length === 0) throw damaged('a block uses no bytes')
  return Uint8Array.from(used)
}

function readCodes(bits: Bits, size: number): { selectors: Uint8Array; codes: Codes[] } {
  const groups = bits.read(3)
  if (groups < 2 || groups > 6) throw damaged(`a block has ${groups} codes`)
  const count = bits.read(15)
  if (count === 0) throw damaged('a block has no selectors')
  const selectors = new Uint8Array(Math.min(count, mostSelectors))
  const order = Uint8Array.from({ length: groups }, (_, index) => index)
  for (let index = 0; index < count; index++) {
    let position = 0
    while (bits.bit() === 1) if (++position >= groups) throw damaged('a selector is none')
    const chosen = order[position] as number
    order.copyWithin(1, 0, position)
    order[0] = chosen
    // More than a block can need are allowed, and never looked at.
    if (index < mostSelectors) selectors[index] = chosen
  }
  const codes: Codes[] = []
  for (let group = 0; group < groups; group++) {
    const lengths = new Uint8Array(size)
    let length = bits.read(5)
    for (let symbol = 0; symbol < size; symbol++) {
      for (;;) {
        if (length < 1 || length > longestCode) throw damaged('the length of a code is none')
        if (bits.bit() === 0) break
        length += bits.bit() === 0 ? 1 : -1
      }
      lengths[symbol] = length
    }
    codes.push(makeCodes(lengths))
  }
  return { selectors, codes }
}

function makeCodes(lengths: Uint8Array): Codes {
  const shortest = Math.min(...lengths)
  const longest = Math.max(...lengths)
  const symbols = new Uint16Array(lengths.length)
  const limit = new Int32Array(longestCode + 2)
  const base = new Int32Array(longestCode + 2)
  let at = 0
  let code = 0
  for (let length = shortest; length <= longest; length++) {
    const first = at
    for (let symbol = 0; symbol < lengths.length; symbol++)
      if (lengths[symbol] === length) symbols[at++] = symbol
    base[length] = code - first
    code += at - first
    limit[length] = code - 1
    code <<= 1
  }
  return { shortest, longest, limit, base, symbols }
}

/** Undoes the codes, the run lengths of zeroes and the moving to the front. */
function readSymbols(
  bits: Bits,
  block: Int32Array,
  used: Uint8Array,
  selectors: Uint8Array,
  codes: readonly Codes[],
): { length: number; counts: Int32Array } {
  const order = Uint8Array.from(used)
  const counts = new Int32Array(256)
  const last = used.length + 1
  let length = 0
  let run = 0
  let weight = 1
  let selector = 0
  let inGroup = 0
  let code = codes[0] as Codes
  for (;;) {
    if (inGroup === 0) {
      if (selector >= selectors.length) throw damaged('a block has too few selectors')
      code = codes[selectors[selector++] as number] as Codes
      inGroup = groupSize
    }
    inGroup -= 1
    let width = code.shortest
    let value = bits.read(width)
    while (value > (code.limit[width] as number)) {
      if (++width > code.longest) throw damaged('a code is none')
      value = (value << 1) | bits.bit()
    }
    const symbol = code.symbols[value - (code.base[width] as number)] as number
    if (symbol <= 1) {
      run += weight << symbol
      weight <<= 1
      // Ends every run long before the numbers overflow.
      if (run > block.length) throw damaged('a block is too large')
      continue
    }
    if (run > 0) {
      if (length + run > block.length) throw damaged('a block is too large')
      const byte = order[0] as number
      counts[byte] = (counts[byte] as number) + run
      block.fill(byte, length, length + run)
      length += run
      run = 0
      weight = 1
    }
    if (symbol === last) return { length, counts }
    if (symbol > last || length === block.length) throw damaged('a block is too large')
    const byte = order[symbol - 1] as number
    order.copyWithin(1, 0, symbol - 1)
    order[0] = byte
    counts[byte] = (counts[byte] as number) + 1
    block[length++] = byte
  }
}

/** Undoes the sorting, then the run lengths, and computes the checksum. */
function undoTransform(
  block: Int32Array,
  length: number,
  origin: number,
  counts: Int32Array,
  pieces: Uint8Array[],
): number {
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    const count = counts[byte] as number
    counts[byte] = sum
    sum += count
  }
  for (let index = 0; index < length; index++) {
    const byte = (block[index] as number) & 0xff
    const at = counts[byte] as number
    counts[byte] = at + 1
    block[at] = (block[at] as number) | (index << 8)
  }
  let piece = Buffer.allocUnsafe(pieceSize)
  let filled = 0
  let crc = -1
  let position = (block[origin] as number) >>> 8
  let previous = -1
  let same = 0
  for (let left = length; left > 0; left--) {
    const entry = block[position] as number
    position = entry >>> 8
    const byte = entry & 0xff
    let copies = 1
    let value = byte
    if (same === 4) {
      copies = byte
      value = previous
      same = 0
      previous = -1
    } else if (byte === previous) same += 1
    else {
      same = 1
      previous = byte
    }
    for (; copies > 0; copies--) {
      crc = (crc << 8) ^ (crcTable[((crc >>> 24) ^ value) & 0xff] as number)
      piece[filled++] = value
      if (filled === pieceSize) {
        pieces.push(piece)
        piece = Buffer.allocUnsafe(pieceSize)
        filled = 0
      }
    }
  }
  if (filled > 0) pieces.push(piece.subarray(0, filled))
  return ~crc
}
