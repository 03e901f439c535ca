import { STATUS_CODES } from 'node:http'

/** Reason phrases as Hitachi's documents print them, where they differ from the usual ones. */
const phrases: Readonly<Record<number, string>> = {
  413: 'File Too Large',
  414: 'Request URI Too Large',
  416: 'Requested Range Not Satisfiable',
}

export function reasonPhrase(status: number): string {
  return phrases[status] ?? STATUS_CODES[status] ?? 'Unknown'
}

/** Ends the handling of a request with this status; the message goes out as `X-HCP-ErrorMessage`. */
export class Refusal extends Error {
  override readonly name: string = 'Refusal'
  readonly status: number
  /** Further headers of the answer: name, value, name, value. */
  readonly headers: readonly string[]

  /** @param message May quote what the client sent: what a header cannot hold becomes `?`. */
  constructor(status: number, message = '', headers: readonly string[] = []) {
    super(message.replaceAll(/[^\x20-\x7e]/g, '?'))
    this.status = status
    this.headers = headers
  }
}

/** The client's connection broke, or a fault broke it, while its body was coming in: nobody is left to be answered. */
export class ConnectionLost extends Error {
  override readonly name: string = 'ConnectionLost'
}
