/** A request as it was served. */
export interface RequestRecord {
  /** Counts up from 1 over the life of the emulator. */
  readonly sequence: number
  /** Epoch milliseconds at which its head had come in. */
  readonly time: number
  readonly cluster: 'primary' | 'replica'
  /** The node, counted from 1. */
  readonly node: number
  readonly port: 'http' | 'https' | 'mapi'
  readonly method: string
  /** As sent, with the query. */
  readonly path: string
  /** The answer's status; 0 where no answer was sent. */
  readonly status: number
  /** The status that was to be sent, also where a fault or the client kept it from going out; 0 where there was none yet. */
  readonly found: number
  /** Bytes of the body: of the request's for PUT and POST, of the answer's for the others. */
  readonly bytes: number
  /** Bytes of the answer's body, whatever the method. */
  readonly sent: number
  /** The `Host` header as sent; empty without one. */
  readonly host: string
  /** IP address of the client. */
  readonly client: string
  /** The account that asked; null for nobody in particular, and where the credentials are wrong. */
  readonly user: string | null
  readonly httpVersion: string
  /** Milliseconds from the head of the request to the end of the answer; null while it is under way. */
  readonly milliseconds: number | null
}

/** A record while its answer is on the way: its counts go on. */
export interface OpenRecord extends RequestRecord {
  bytes: number
  sent: number
  milliseconds: number | null
}

/** Older ones are forgotten. */
const kept = 100_000

export class RequestLog {
  #records: OpenRecord[] = []
  #sequence = 0

  /** Adds a record when it is known what the answer is; its counts may be set as they go. */
  add(record: Omit<RequestRecord, 'sequence'>): OpenRecord {
    const entry = { sequence: ++this.#sequence, ...record }
    this.#records.push(entry)
    if (this.#records.length >= 2 * kept) this.#records = this.#records.slice(-kept)
    return entry
  }

  /** Those with a sequence above `since`, oldest first. */
  since(since = 0): RequestRecord[] {
    const first = this.#records[0]?.sequence ?? 0
    return this.#records.slice(Math.max(0, since + 1 - first)).map((record) => ({ ...record }))
  }

  /** Those whose answer has ended, which nothing changes any more; oldest first. */
  finished(): readonly RequestRecord[] {
    return this.#records.filter((record) => record.milliseconds !== null)
  }
}
