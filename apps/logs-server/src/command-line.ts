import { parseArgs } from 'node:util'
import { UsageError } from './usage.ts'

export interface CommandLine {
  readonly help: boolean
  readonly config: string
  readonly host: string
  readonly port: number
  readonly database: string | undefined
  readonly citus: boolean
}

/** @throws {UsageError} */
export function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parsed(args)
  const { help = false, config = '', host = '127.0.0.1', port = '8181', database, citus = false } = values
  if (!help && config === '') throw new UsageError('--config is missing: it names the configuration file.')
  if (host === '') throw new UsageError('--host takes an address or a name.')
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new UsageError('--port takes a whole number from 0 to 65535.')
  return { help, config, host, port: Number(port), database, citus }
}

function parsed(args: readonly string[]): ReturnType<typeof parseArgs<typeof options>> {
  try {
    return parseArgs({ ...options, args: [...args] })
  } catch (error) {
    // What stands alone may be a URL with a password, torn off its option.
    if ((error as NodeJS.ErrnoException).code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL')
      throw new UsageError('There is an argument that belongs to no option.')
    throw new UsageError((error as Error).message)
  }
}

const options = {
  options: {
    help: { type: 'boolean', short: 'h' },
    config: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string' },
    database: { type: 'string' },
    citus: { type: 'boolean' },
  },
} as const
