import { Readable } from 'node:stream'
import type { Bytes } from './bytes.ts'
import { LogsDamagedError } from './errors.ts'
import { packageFileName } from './file-name.ts'
import { ZipStreamCheck } from './zip-stream-check.ts'

export interface DownloadProgress {
  /** Bytes. */
  readonly received: number
}

export type OnDownloadProgress = (progress: DownloadProgress) => void

/** What a download is made from: HCP's answer. */
interface Answer extends Bytes {
  header(name: string): string | undefined
  dump(): Promise<void>
}

interface Watching {
  readonly onProgress?: OnDownloadProgress
}

/**
 * A ZIP as it comes from HCP, to be read once: by `for await`, or as a stream by `body`. It ends in an error unless it is whole by its
 * structure. Until it has been read, or given up by `dump`, it holds a connection, and HCP's log job.
 */
export class LogDownload implements AsyncIterable<Uint8Array>, AsyncDisposable {
  /** As HCP names it, made harmless: never with a folder, and `HCPLogs.zip` without any. */
  readonly fileName: string
  readonly #answer: Answer
  readonly #options: Watching
  readonly #check = new ZipStreamCheck()

  private constructor(answer: Answer, options: Watching) {
    this.#answer = answer
    this.#options = options
    this.fileName = packageFileName(answer.header('content-disposition'))
  }

  /** @internal */
  static async of(answer: Answer, options: Watching): Promise<LogDownload> {
    const type = answer.header('content-type')
    if (type !== undefined && !/^(?:application\/(?:zip|x-zip-compressed|octet-stream))\b/i.test(type)) {
      await answer.dump()
      throw new LogsDamagedError(`HCP answered with ${type.slice(0, 100)}, not with a ZIP.`, 0)
    }
    return new LogDownload(answer, options)
  }

  /** Bytes so far. */
  get received(): number {
    return this.#check.received
  }

  /** The same as a stream, with back-pressure. */
  get body(): Readable {
    return Readable.from(this, { objectMode: false })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of this.#answer) {
      this.#check.add(chunk)
      this.#options.onProgress?.({ received: this.#check.received })
      yield chunk
    }
    try {
      this.#check.finish()
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause)
      const message = `What HCP sent is no whole ZIP: ${what}. It has ${this.received} bytes; a download begins anew.`
      throw new LogsDamagedError(message, this.received, cause)
    }
  }

  /** Gives the rest up. */
  dump(): Promise<void> {
    return this.#answer.dump()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dump()
  }
}
