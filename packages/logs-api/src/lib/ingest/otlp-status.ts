import { newWriter } from './protobuf.ts'

export const protobufType = 'application/x-protobuf'

/** The media type alone, in lower case: `application/json` of `Application/JSON; charset=utf-8`. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

/** Numbers of google.rpc.Code by HTTP status. */
const codes: Readonly<Record<number, number>> = {
  400: 3, // invalid argument
  401: 16, // unauthenticated
  403: 7, // permission denied
  404: 5, // not found
  409: 10, // aborted
  413: 8, // resource exhausted
  415: 3,
  422: 3,
  429: 8,
  503: 14, // unavailable
  504: 4, // deadline exceeded
}

/**
 * An error as OTLP/HTTP tells it: a google.rpc.Status in the encoding of the request, JSON where that is unknown.
 * @param contentType Of the request.
 * @param status Of the HTTP answer.
 */
export function encodeOtlpStatus(
  contentType: string | undefined,
  status: number,
  message: string,
): { readonly type: string; readonly body: Buffer } {
  const code = codes[status] ?? (status < 500 ? 3 : 13)
  if (mediaType(contentType) !== protobufType) {
    return { type: 'application/json', body: Buffer.from(JSON.stringify({ code, message })) }
  }
  const writer = newWriter().uint32(8).int32(code).uint32(18).string(message.toWellFormed())
  return { type: protobufType, body: Buffer.from(writer.finish()) }
}
