import protobuf from 'protobufjs/minimal.js'

// Reading and writing by hand what few messages there are: the library's reflection makes its readers with `Function`, which a hardened
// process forbids.

export type ProtobufReader = protobuf.Reader

export const newWriter = (): protobuf.Writer => protobuf.Writer.create()

export class ProtobufError extends Error {
  override name = 'ProtobufError'
}

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Calls `field` for every field of the message up to `end`; what it does not read (answering false) is skipped. */
export function readMessage(
  reader: ProtobufReader,
  end: number,
  field: (number: number, type: number) => boolean,
): void {
  while (reader.pos < end) {
    const tag = reader.uint32()
    const number = tag >>> 3
    if (number === 0) throw new ProtobufError('A field has the number 0.')
    if (!field(number, tag & 7)) reader.skipType(tag & 7, 0, number)
  }
  if (reader.pos !== end) throw new ProtobufError('A field is longer than the message that it is in.')
}

/** Calls `read` with the place where the message that comes now ends. */
export function readNested(reader: ProtobufReader, outerEnd: number, read: (end: number) => void): true {
  const length = reader.uint32()
  const end = reader.pos + length
  if (end > outerEnd) throw new ProtobufError('A field is longer than the message that it is in.')
  read(end)
  return true
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function readText(reader: ProtobufReader): string {
  const bytes = reader.bytes()
  try {
    return utf8.decode(bytes)
  } catch {
    throw new ProtobufError('A text is not valid UTF-8.')
  }
}
