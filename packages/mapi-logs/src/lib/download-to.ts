import { randomBytes } from 'node:crypto'
import { type FileHandle, link, lstat, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { checkCall, checkFlag, checkNumber, checkProgress, checkText } from './checks.ts'
import { Collector } from './collector.ts'
import {
  LogsDamagedError,
  LogsFileError,
  LogsInProgressError,
  onDisk,
  systemCode,
  systemError,
} from './errors.ts'
import type { LogDownload } from './log-download.ts'
import type { LogSelection } from './log-selection.ts'
import type { CallOptions, DownloadOptions } from './logs.ts'
import type { LogStatus } from './log-status.ts'
import { pause } from './pause.ts'
import { ZipError } from './zip-end.ts'
import { ZipArchive } from './zip-file.ts'

/** Bytes of what is being done: downloaded as they come, then checked as they are on disk, unpacked. */
export interface TransferProgress {
  readonly phase: 'downloading' | 'checking'
  /** Falls back when a download begins anew. */
  readonly bytes: number
  /** Which try it is, from 1 on. */
  readonly attempt: number
}

export interface DownloadToOptions extends LogSelection, CallOptions {
  /** Replace a file that is there. Default false. */
  readonly overwrite?: boolean
  /** Downloads at most, each from the beginning. Default 3. */
  readonly attempts?: number
  readonly onProgress?: (progress: TransferProgress) => void
}

/** A file that is a whole package. */
export interface DownloadedLogs {
  readonly file: string
  /** As HCP names it. */
  readonly fileName: string
  /** Bytes. */
  readonly size: number
  /** Downloads that it took. */
  readonly attempts: number
}

/** What the download needs of `Logs`. */
export interface Source {
  status(options?: CallOptions): Promise<LogStatus>
  download(options?: DownloadOptions): Promise<LogDownload>
}

const mostEntries = 1_000_000
/** Milliseconds between looking whether HCP has noticed that a download broke off. */
const settling = 250
const longestSettling = 15_000

export async function downloadLogs(
  logs: Source,
  place: string,
  options: DownloadToOptions,
): Promise<DownloadedLogs> {
  const { attempts = 3, overwrite = false, onProgress, signal, nodes, snodes, content } = options
  checkCall('downloadTo', options, 'nodes', 'snodes', 'content', 'overwrite', 'attempts', 'onProgress')
  checkProgress(onProgress)
  checkFlag('overwrite', overwrite)
  checkNumber('attempts', attempts, 100)
  const target = await targetOf(resolve(checkText('place', place)), overwrite)
  const part = join(target.folder, `.hcp-logs-${process.pid}-${randomBytes(6).toString('hex')}.part`)
  const selection = {
    ...(nodes === undefined ? {} : { nodes }),
    ...(snodes === undefined ? {} : { snodes }),
    ...(content === undefined ? {} : { content }),
    ...(signal === undefined ? {} : { signal }),
  }
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        const download = await logs.download(selection)
        const file = target.file ?? join(target.folder, download.fileName)
        if (target.file === undefined) await checkFree(file, overwrite, download)
        const size = await receive(download, part, (bytes) =>
          onProgress?.({ phase: 'downloading', bytes, attempt }),
        )
        let checked = 0
        await verify(part, size, signal, (bytes) => {
          checked += bytes
          onProgress?.({ phase: 'checking', bytes: checked, attempt })
        })
        signal?.throwIfAborted()
        await moveIntoPlace(part, file, overwrite)
        return { file, fileName: download.fileName, size, attempts: attempt }
      } catch (error) {
        signal?.throwIfAborted()
        if (attempt >= attempts || !mayBeginAnew(error)) throw error
        if (!(await stillReady(logs, signal))) throw error
      }
    }
  } finally {
    await rm(part, { force: true })
  }
}

async function targetOf(place: string, overwrite: boolean): Promise<{ folder: string; file?: string }> {
  try {
    const facts = await stat(place)
    if (facts.isDirectory()) return { folder: place }
    if (!facts.isFile()) throw new LogsFileError(place, 'kind', `${place} is neither a file nor a folder`)
    if (!overwrite) throw fileExists(place)
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT')
      throw cause instanceof LogsFileError ? cause : systemError(place, 'look at', cause)
    // Nothing is sent for a folder that is not there.
    const folder = await onDisk(dirname(place), 'write into', stat(dirname(place)))
    if (!folder.isDirectory())
      throw new LogsFileError(dirname(place), 'kind', `${dirname(place)} is no folder`)
  }
  return { folder: dirname(place), file: join(dirname(place), basename(place)) }
}

const fileExists = (file: string): LogsFileError =>
  new LogsFileError(file, 'exists', `${file} is there already; remove it, or say overwrite: true`)

async function checkFree(file: string, overwrite: boolean, download: LogDownload): Promise<void> {
  if (overwrite) return
  const there = await lstat(file).catch(() => undefined)
  if (there === undefined) return
  await download.dump()
  throw fileExists(file)
}

/** @returns Bytes that are in the file, and on the disk. */
async function receive(
  download: LogDownload,
  part: string,
  onBytes: (bytes: number) => void,
): Promise<number> {
  let handle: FileHandle | undefined
  const collector = new Collector()
  try {
    await onDisk(part, 'write', rm(part, { force: true }))
    handle = await onDisk(part, 'write', open(part, 'wx'))
    for await (const chunk of download) {
      await writeAll(handle, part, chunk)
      collector.passed(chunk.length)
      onBytes(download.received)
    }
    await onDisk(part, 'write', handle.sync())
    return download.received
  } catch (error) {
    await download.dump()
    throw error
  } finally {
    await handle?.close()
  }
}

async function writeAll(handle: FileHandle, file: string, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await onDisk(file, 'write', handle.write(bytes, done, bytes.length - done))
    done += bytesWritten
  }
}

async function verify(
  part: string,
  size: number,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  try {
    const archive = await ZipArchive.open(part, mostEntries)
    try {
      await archive.verify(signal, onBytes)
    } finally {
      archive.close()
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof LogsFileError) throw error
    // The disk's own errors have codes such as EIO; those of a damaged ZIP have none, or zlib's.
    const code = systemCode(error)
    if (code !== undefined && /^E[A-Z]+$/.test(code)) throw systemError(part, 'read', error)
    const what = error instanceof Error ? error.message : String(error)
    const where = error instanceof ZipError ? '' : 'its content is damaged: '
    throw new LogsDamagedError(
      `What HCP sent is no whole ZIP: ${where}${what}. It has ${size} bytes.`,
      size,
      error,
    )
  }
}

/** Gives a finished file its name in one step, and never replaces one unasked. */
async function moveIntoPlace(from: string, to: string, overwrite: boolean): Promise<void> {
  if (overwrite) return onDisk(to, 'write', rename(from, to))
  try {
    await link(from, to)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'EEXIST') throw fileExists(to)
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EACCES')
      throw systemError(to, 'write', cause)
    // File systems without hard links.
    if ((await lstat(to).catch(() => undefined)) !== undefined) throw fileExists(to)
    await onDisk(to, 'write', rename(from, to))
  }
}

/** Whether another download may bring what this one did not. */
function mayBeginAnew(error: unknown): boolean {
  if (error instanceof LogsDamagedError || error instanceof LogsInProgressError) return true
  if (error instanceof LogsFileError || !(error instanceof Error)) return false
  const { code, retryable } = error as { code?: unknown; retryable?: unknown }
  return retryable === true && typeof code === 'string' && code.startsWith('HCP_')
}

/** Waits until HCP has noticed that the download broke off. */
async function stillReady(logs: Source, signal: AbortSignal | undefined): Promise<boolean> {
  const call = signal === undefined ? {} : { signal }
  for (let waited = 0; waited <= longestSettling; waited += settling) {
    try {
      const { state, streamingInProgress } = await logs.status(call)
      if (!streamingInProgress) return state === 'ready'
    } catch (error) {
      signal?.throwIfAborted()
      if (!mayBeginAnew(error)) throw error
    }
    await pause(settling, signal)
  }
  return false
}
