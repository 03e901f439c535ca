import { stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { demonstrate } from './demo.ts'
import { derived, findFiles } from './files.ts'

const usage = `usage: npm start [-- [options] [FOLDER]]

Stores the files of FOLDER (default: those of this repository) on a four-node HCP that runs on loopback, stops a node
meanwhile, reads all back, verifies it, and deletes it.

  --files N        take the first N files only
  --kill-at P      stop a node when P % of the files are stored (0 to 99, default 40)
  -h, --help       show this
`

/** The command line cannot be worked with: exit code 2. */
class UsageError extends Error {
  override name = 'UsageError'
}

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Once: a second one ends the program at once.
  process.once(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    stop.abort()
  })
}

try {
  const passed = await run()
  if (!passed) process.exitCode = 1
} catch (error) {
  if (stop.signal.aborted) console.error('\nStopped early; nothing is left behind.')
  else if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${usage}`)
    process.exitCode = 2
  } else {
    console.error('FAILED:', error)
    process.exitCode = 1
  }
}

async function run(): Promise<boolean> {
  const { folder, limit, killAt, help } = readArguments()
  if (help) {
    console.log(usage)
    return true
  }
  const files = (await chosenFiles(folder)).slice(0, limit)
  return demonstrate({ files, killAt, signal: stop.signal })
}

async function chosenFiles(
  folder: string | undefined,
): Promise<Awaited<ReturnType<typeof findFiles>>['files']> {
  const chosen = folder ?? fileURLToPath(new URL('../../..', import.meta.url))
  const facts = await stat(chosen).catch(() => undefined)
  if (facts === undefined) throw new UsageError(`There is no folder ${chosen}.`)
  if (!facts.isDirectory()) throw new UsageError(`${chosen} is not a folder.`)
  const { files, unreadable } = await findFiles(chosen, folder === undefined ? derived : undefined).catch(
    (error: Error) => {
      throw new UsageError(`${chosen} cannot be read: ${error.message}`)
    },
  )
  for (const name of unreadable) console.log(`Left out, since it cannot be opened: ${name}`)
  if (files.length === 0) throw new UsageError(`${chosen} has no files to store.`)
  return files
}

function readArguments(): { folder: string | undefined; limit: number; killAt: number; help: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        files: { type: 'string' },
        'kill-at': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (positionals.length > 1) throw new UsageError(`One folder can be given, not ${positionals.length}.`)
    return {
      folder: positionals[0],
      limit: whole('files', values.files, 1, Number.MAX_SAFE_INTEGER) ?? Infinity,
      killAt: whole('kill-at', values['kill-at'], 0, 99) ?? 40,
      help: values.help ?? false,
    }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError((error as Error).message)
  }
}

function whole(name: string, text: string | undefined, minimum: number, maximum: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value
  const range = maximum === Number.MAX_SAFE_INTEGER ? `${minimum} up` : `${minimum} to ${maximum}`
  throw new UsageError(`--${name} takes a whole number from ${range}, not '${text}'.`)
}
