import { randomBytes } from 'node:crypto'
import { link, lstat, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { checkFlag, checkText } from './arguments.ts'
import { LogsApiError } from './errors.ts'
import type { ExportDownload, ExportDownloadOptions } from './export-download.ts'

export interface DownloadToOptions extends ExportDownloadOptions {
  /** Replace a file that is there. Default false. */
  readonly overwrite?: boolean | undefined
}

/** A file that is a whole archive. */
export interface DownloadedExport {
  readonly file: string
  /** Bytes. */
  readonly size: number
}

export async function downloadTo(
  download: (options: ExportDownloadOptions) => Promise<ExportDownload>,
  place: string,
  { overwrite = false, ...options }: DownloadToOptions,
): Promise<DownloadedExport> {
  checkFlag('overwrite', overwrite)
  const target = resolve(checkText('file', place))
  const folder = await isFolder(target)
  if (!folder) await checkFree(target, overwrite)
  const part = join(folder ? target : dirname(target), `.hcp-logs-${randomBytes(8).toString('hex')}.part`)
  try {
    // An archive that is replaced under the download is begun anew, once.
    for (let anew = false; ; anew = true) {
      try {
        const archive = await download(options)
        const file = folder ? join(target, archive.fileName) : target
        const size = await store(archive, part, file, overwrite)
        return { file, size }
      } catch (error) {
        if (anew || !(error instanceof LogsApiError) || error.code !== 'LOGS_API_CHANGED') throw error
      }
    }
  } finally {
    await rm(part, { force: true })
  }
}

async function store(
  { body }: ExportDownload,
  part: string,
  file: string,
  overwrite: boolean,
): Promise<number> {
  try {
    await checkFree(file, overwrite)
    const handle = await open(part, 'w').catch((cause: unknown) => Promise.reject(onDisk(file, cause)))
    try {
      await handle.writeFile(body).catch((cause: unknown) => Promise.reject(onDisk(file, cause)))
      await handle.sync()
      const { size } = await handle.stat()
      await moveIntoPlace(part, file, overwrite)
      return size
    } finally {
      await handle.close()
    }
  } finally {
    body.destroy()
  }
}

async function isFolder(target: string): Promise<boolean> {
  const facts = await stat(target).catch(() => undefined)
  if (facts !== undefined && !facts.isDirectory() && !facts.isFile())
    throw new LogsApiError('LOGS_API_FILE', `${target} is neither a file nor a folder.`, false)
  return facts?.isDirectory() ?? false
}

async function checkFree(file: string, overwrite: boolean): Promise<void> {
  if (overwrite) return
  if ((await lstat(file).catch(() => undefined)) !== undefined) throw isThere(file)
}

/** Gives a finished file its name in one step, and never replaces one unasked. */
async function moveIntoPlace(from: string, to: string, overwrite: boolean): Promise<void> {
  try {
    if (overwrite) await rename(from, to)
    else await link(from, to)
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === 'EEXIST' ? isThere(to) : onDisk(to, cause)
  }
}

const isThere = (file: string): LogsApiError =>
  new LogsApiError('LOGS_API_FILE', `${file} is there already; remove it, or say overwrite: true.`, false)

/** A refusal of the disk; what else went wrong stays what it is. */
function onDisk(file: string, cause: unknown): unknown {
  if (cause instanceof LogsApiError || !(cause instanceof Error) || !('syscall' in cause)) return cause
  return new LogsApiError('LOGS_API_FILE', `${file} cannot be written: ${cause.message}.`, false, { cause })
}
