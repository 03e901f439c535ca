import { lstat, mkdir, open, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { LogPackageError, LogsFileError, onDisk, systemCode, systemError } from './errors.ts'
import type { FilesOptions, LogFile } from './log-package.ts'

/** What an extraction has done. */
export interface ExtractedFiles {
  /** Files that were written, whole, with their size in bytes. */
  readonly files: readonly { readonly path: string; readonly file: string; readonly size: number }[]
  /** What could not be read. Nothing of it was kept. */
  readonly failed: readonly LogPackageError[]
}

interface Source {
  files(options?: FilesOptions): AsyncIterable<LogFile>
}

/** Names that Windows takes for devices, and what it strips from names. */
const unusableOnWindows = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)|[<>:"|?*]|[. ]$/i

export async function extractFiles(
  source: Source,
  folder: string,
  options: FilesOptions,
): Promise<ExtractedFiles> {
  if (typeof folder !== 'string' || folder === '') throw new TypeError('folder must be the path of a folder')
  const root = resolve(folder)
  const files: { path: string; file: string; size: number }[] = []
  const failed: LogPackageError[] = []
  const onError = (error: LogPackageError): void => {
    failed.push(error)
    options.onError?.(error)
  }
  await onDisk(root, 'write', mkdir(root, { recursive: true }))
  const folders = new Set([root])
  const written = new Set<string>()
  for await (const entry of source.files({ ...options, onError })) {
    const segments = entry.path.split('/')
    if (process.platform === 'win32' && segments.some((segment) => unusableOnWindows.test(segment))) {
      onError(new LogPackageError(entry.path, 'name', 'this system has no such names'))
      continue
    }
    const file = join(root, ...segments)
    if (written.has(file)) {
      onError(new LogPackageError(entry.path, 'name', 'it is in the package twice; the first was taken'))
      continue
    }
    if (folders.has(file) || segments.some((_, at) => written.has(join(root, ...segments.slice(0, at))))) {
      onError(
        new LogPackageError(
          entry.path,
          'name',
          'a file of the package is a folder of it, too; the first was taken',
        ),
      )
      continue
    }
    written.add(file)
    try {
      await makeFolder(dirname(file), folders)
      files.push({ path: entry.path, file, size: await write(entry, file) })
    } catch (error) {
      if (!(error instanceof LogPackageError) || error.problem === 'limit') throw error
      // Files behind it in the same archive fail too, and are told by the iteration; a file alone is told here.
      if (!failed.some(({ place }) => place === error.place)) onError(error)
    }
  }
  return { files, failed: unique(failed) }
}

const unique = (errors: readonly LogPackageError[]): LogPackageError[] => [
  ...new Map(errors.map((error) => [`${error.place}\0${error.message}`, error])).values(),
]

/** Makes folders one by one, so that a link which is there leads nowhere. @param known Has the folder that all are below. */
async function makeFolder(folder: string, known: Set<string>): Promise<void> {
  if (known.has(folder)) return
  await makeFolder(dirname(folder), known)
  try {
    await mkdir(folder)
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') throw systemError(folder, 'write', cause)
    const facts = await onDisk(folder, 'read', lstat(folder))
    if (!facts.isDirectory()) throw new LogsFileError(folder, 'kind', `${folder} is no folder`)
  }
  known.add(folder)
}

async function write(entry: LogFile, file: string): Promise<number> {
  let handle
  try {
    // Only what is not there yet; a link that is there is not followed.
    handle = await open(file, 'wx')
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST')
      throw new LogsFileError(file, 'exists', `${file} is there already`, cause)
    throw systemError(file, 'write', cause)
  }
  let size = 0
  try {
    for await (const chunk of entry) {
      await onDisk(file, 'write', handle.writeFile(chunk))
      size += chunk.length
    }
  } catch (error) {
    await handle.close()
    await rm(file, { force: true })
    throw error
  }
  await onDisk(file, 'write', handle.close())
  return size
}
