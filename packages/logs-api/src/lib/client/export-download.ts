import { Readable } from 'node:stream'
import { type CallOptions, checkCall, checkFunction, checkNumber, checkOneOf } from './arguments.ts'
import { LogsApiError } from './errors.ts'
import { chunksOf } from './lines.ts'
import { pause } from './pause.ts'
import type { Answer, Transport } from './transport.ts'

export interface ExportDownloadOptions extends CallOptions {
  /** `zip` is the package as HCP made it. Default `tar.gz`. */
  readonly format?: 'tar.gz' | 'zip' | undefined
  /** Connections that bring nothing, one after the other, before it gives up. Default 5. */
  readonly attempts?: number | undefined
  /** Called as bytes come. `size` is undefined where the service does not tell it. */
  readonly onProgress?: ((progress: { received: number; size: number | undefined }) => void) | undefined
}

/** An archive on its way. */
export interface ExportDownload {
  /** As the service names it. */
  readonly fileName: string
  /** Bytes, where the service tells it. */
  readonly size: number | undefined
  /** To be read to its end, or destroyed. */
  readonly body: Readable
}

export async function openDownload(
  transport: Transport,
  path: string,
  options: ExportDownloadOptions,
): Promise<ExportDownload> {
  checkCall('download', options, 'format', 'attempts', 'onProgress')
  const { signal, format, attempts = 5, onProgress } = options
  checkOneOf('format', format, ['tar.gz', 'zip'])
  checkNumber('attempts', attempts, 1, 1_000)
  checkFunction('onProgress', onProgress)
  const { deadline } = options
  const ask = (headers: Record<string, string>): Promise<Answer> =>
    transport.open({
      method: 'GET',
      path,
      headers: { accept: format === 'zip' ? 'application/zip' : 'application/octet-stream', ...headers },
      call: { signal, deadline },
    })
  const first = await ask({})
  const etag = header(first, 'etag')
  const size = lengthOf(first)
  let received = 0

  const goOn = async (): Promise<Answer> => {
    const answer = await ask({ range: `bytes=${received}-`, 'if-range': etag! })
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header(answer, 'content-range') ?? '')
    const whole = size === undefined || range?.[3] === '*' || Number(range?.[3]) === size
    if (answer.status === 206 && range !== null && Number(range[1]) === received && whole) return answer
    answer.body.destroy()
    throw new LogsApiError(
      'LOGS_API_CHANGED',
      `GET ${path}: the archive is another one now than the one that this download began with. Begin it anew.`,
      true,
      { method: 'GET', status: answer.status, sent: true },
    )
  }

  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    let answer: Answer | undefined = first
    for (let failures = 0; ;) {
      const before = received
      let failure: unknown
      try {
        answer ??= await goOn()
        for await (const chunk of chunksOf(answer.body, answer.fault)) {
          received += chunk.length
          onProgress?.({ received, size })
          yield chunk
        }
        if (size === undefined || received === size) return
        failure = shortOf(path, size, received)
        if (received > size) throw failure
      } catch (error) {
        failure = error
      } finally {
        answer?.body.destroy()
        answer = undefined
      }
      signal?.throwIfAborted()
      failures = received > before ? 1 : failures + 1
      const mayPass =
        failure instanceof LogsApiError && failure.retryable && failure.code !== 'LOGS_API_CHANGED'
      // A weak tag says nothing about bytes.
      const resumable = etag !== undefined && !etag.startsWith('W/')
      if (!mayPass || !resumable || failures > attempts || received > (size ?? Infinity)) throw failure
      await pause(transport.retry.delay(failures), AbortSignal.any([transport.closing, ...given(signal)]))
    }
  }

  const body = Readable.from(bytes(), { objectMode: false })
  // Before its first read nobody else would.
  body.once('close', () => first.body.destroy())
  return { fileName: fileNameOf(first) ?? 'export', size, body }
}

const given = (signal: AbortSignal | undefined): AbortSignal[] => (signal === undefined ? [] : [signal])

const shortOf = (path: string, size: number, received: number): LogsApiError =>
  new LogsApiError(
    'LOGS_API_SOCKET',
    `GET ${path}: ${received} bytes came of an archive of ${size}.`,
    received < size,
    { method: 'GET', sent: true },
  )

function header({ headers }: Answer, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

function lengthOf(answer: Answer): number | undefined {
  const length = header(answer, 'content-length')
  return length === undefined || !/^\d+$/.test(length) ? undefined : Number(length)
}

/** Only a name: whoever writes it into a folder writes nowhere else. */
function fileNameOf(answer: Answer): string | undefined {
  const found = /filename="?([^";]+)"?/.exec(header(answer, 'content-disposition') ?? '')?.[1]?.trim()
  return found !== undefined && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(found) ? found : undefined
}
