import protobuf from 'protobufjs/minimal.js'

// Messages are read by hand, since there are few: the library's reflection makes its readers with `Function`, which a hardened process forbids.

/** Types of fields on the wire. */
export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the values of fields. Whatever does not fit its bytes is an error of some class. */
export class ProtobufReader {
  readonly #reader: protobuf.Reader
  /** Where the innermost message that is being read ends. */
  #end: number

  constructor(bytes: Buffer) {
    this.#reader = protobuf.Reader.create(bytes)
    this.#end = bytes.length
  }

  get position(): number {
    return this.#reader.pos
  }

  get end(): number {
    return this.#end
  }

  tag(): number {
    return this.#reader.uint32()
  }

  skip(type: number, field: number): void {
    this.#reader.skipType(type, 0, field)
  }

  bytes(): Buffer {
    const { buffer, byteOffset, length } = this.#reader.bytes()
    return Buffer.from(buffer, byteOffset, length)
  }

  /** @throws if it is not valid UTF-8. */
  text(): string {
    return utf8.decode(this.#reader.bytes())
  }

  int32(): number {
    return this.#reader.int32()
  }

  bool(): boolean {
    return this.#reader.bool()
  }

  int64(): bigint {
    const { high, low } = this.#reader.int64()
    return (BigInt(high) << 32n) | BigInt(low >>> 0)
  }

  double(): number {
    return this.#reader.double()
  }

  fixed32(): number {
    return this.#reader.fixed32()
  }

  /** A fixed64 of nanoseconds, as whole microseconds; not exact beyond the numbers that are. */
  nanoseconds(): number {
    const low = this.#reader.fixed32()
    const high = this.#reader.fixed32()
    // 2 ** 32 = 4,294,967 * 1000 + 296, so that no product gets too large to be exact.
    return high * 4_294_967 + Math.floor((high * 296 + low) / 1000)
  }

  /** Reads a length and then, by `read`, the message of that length. */
  nested(read: (end: number) => void): true {
    const length = this.#reader.uint32()
    const end = this.#reader.pos + length
    const outer = this.#end
    if (end > outer) throw new RangeError('A message is longer than the one that it is in.')
    this.#end = end
    read(end)
    this.#end = outer
    return true
  }
}

/** Calls `field` for every field of the message that ends at `end`. Fields for which it answers false are skipped. */
export function readMessage(
  reader: ProtobufReader,
  end: number,
  field: (number: number, type: number) => boolean,
): void {
  while (reader.position < end) {
    const tag = reader.tag()
    if (!field(tag >>> 3, tag & 7)) reader.skip(tag & 7, tag >>> 3)
  }
  if (reader.position !== end) throw new RangeError('A field is longer than the message that it is in.')
}

export function newWriter(): protobuf.Writer {
  return protobuf.Writer.create()
}
