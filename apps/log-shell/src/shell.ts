import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  accessLog,
  LogPackage,
  type Logs,
  LogsFailedError,
  LogsLostError,
  LogsNotReadyError,
  type LogStatus,
  type TransferProgress,
} from '@hcp/mapi-logs'
import { describeSelection, select, type Selection } from './selection.ts'

export interface ShellOptions {
  readonly input: Readable
  readonly output: Writable
  /** Somebody types and looks: prompt, and progress in one line that changes. */
  readonly terminal: boolean
  /** Where packages go. */
  readonly folder: string
  /** Milliseconds between questions for the status. */
  readonly interval: number
}

interface Command {
  readonly help: string
  readonly run: (text: string, signal: AbortSignal) => Promise<void> | void
}

const interrupted = new Error('interrupted')

/** Reads commands, line by line, and carries them out one after the other. */
export class Shell {
  readonly #logs: Logs
  readonly #options: ShellOptions
  readonly #reader: Interface
  readonly #commands: ReadonlyMap<string, Command>
  #selection: Selection = {}
  /** HCP's job was started here: it is ours to cancel. */
  #ours = false
  #running: AbortController | undefined
  #ended = false
  #changing = false

  constructor(logs: Logs, options: ShellOptions) {
    const { input, output, terminal } = options
    this.#logs = logs
    this.#options = options
    this.#reader = createInterface({ input, output, terminal, prompt: '> ' })
    // A terminal in raw mode sends no signal.
    this.#reader.on('SIGINT', () => this.interrupt())
    this.#commands = this.#makeCommands()
  }

  /** @returns How many commands failed. */
  async run(): Promise<number> {
    let failures = 0
    if (this.#options.terminal) this.#reader.prompt()
    for await (const line of this.#reader) {
      if (!(await this.#carryOut(line.trim()))) failures += 1
      if (this.#ended) break
      if (this.#options.terminal) this.#reader.prompt()
    }
    this.#reader.close()
    if (this.#ours) await this.#free('quit')
    return failures
  }

  /** Ctrl-C: ends what is being done, or the shell if nothing is. */
  interrupt(): void {
    if (this.#running === undefined) this.end()
    else this.#running.abort(interrupted)
  }

  end(): void {
    this.#ended = true
    this.#running?.abort(interrupted)
    this.#reader.close()
  }

  async #carryOut(line: string): Promise<boolean> {
    if (line === '' || line.startsWith('#')) return true
    const [name = '', ...rest] = line.split(/\s+/)
    const command = this.#commands.get(name)
    if (command === undefined) {
      this.#say(`There is no command "${name}"; "help" tells what there is.`)
      return false
    }
    this.#running = new AbortController()
    try {
      await command.run(rest.join(' '), this.#running.signal)
      return true
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#say(error === interrupted ? 'Interrupted.' : `Failed: ${message}`)
      if (isGone(error)) this.#ours = false
      if (error === interrupted && this.#ours) await this.#free('interrupted')
      return false
    } finally {
      this.#running = undefined
      // Else the prompt would take its place.
      if (this.#changing) this.#options.output.write('\n')
      this.#changing = false
    }
  }

  #makeCommands(): ReadonlyMap<string, Command> {
    const selecting = (what: string, help: string): Command => ({
      help,
      run: (text) => {
        this.#selection = select(this.#selection, what, text)
      },
    })
    return new Map<string, Command>([
      ['from', selecting('startDate', 'DAY        the first day of the logs, 2026-11-20 or today')],
      ['to', selecting('endDate', 'DAY        the last day')],
      ['nodes', selecting('nodes', 'NUMBERS    General nodes like 101,103, or all or none')],
      ['snodes', selecting('snodes', 'NAMES      S Series nodes, or none')],
      ['types', selecting('content', 'KINDS      access, system, service, application, or all')],
      [
        'what',
        { help: '           what is selected', run: () => this.#say(describeSelection(this.#selection)) },
      ],
      ['prepare', { help: '           has HCP pack the logs', run: (_, signal) => this.#prepare(signal) }],
      ['status', { help: '           what HCP is at', run: (_, signal) => this.#status(signal) }],
      ['wait', { help: '           waits until the logs are ready', run: (_, signal) => this.#wait(signal) }],
      [
        'download',
        {
          help: '[PLACE]    fetches them into a folder or file',
          run: (text, signal) => this.#download(text, signal),
        },
      ],
      [
        'collect',
        {
          help: '[PLACE]    prepare, wait, download and cancel in one',
          run: (text, signal) => this.#collect(text, signal),
        },
      ],
      [
        'cancel',
        { help: "           ends HCP's log job, whoever's it is", run: (_, signal) => this.#cancel(signal) },
      ],
      [
        'mark',
        { help: "TEXT       writes a text into HCP's logs", run: (text, signal) => this.#mark(text, signal) },
      ],
      [
        'clean',
        {
          help: '           ends a job that was started here, and forgets the selection',
          run: () => this.#clean(),
        },
      ],
      ['list', { help: 'FILE       what is in a package', run: (text, signal) => this.#list(text, signal) }],
      ['help', { help: '           this', run: () => this.#help() }],
      ['quit', { help: '           ends the shell, and a job that was started here', run: () => this.end() }],
    ])
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    const { startDate, endDate, snodes } = this.#selection
    // Not given the signal: whether HCP took it has to be known.
    await this.#logs.prepare({
      ...(startDate === undefined ? {} : { startDate }),
      ...(endDate === undefined ? {} : { endDate }),
      ...(snodes === undefined ? {} : { snodes }),
    })
    this.#ours = true
    signal.throwIfAborted()
    this.#say('HCP is preparing the logs.')
  }

  async #status(signal: AbortSignal): Promise<void> {
    this.#say(describeStatus(await this.#ask(signal)))
  }

  async #ask(signal: AbortSignal): Promise<LogStatus> {
    const status = await this.#logs.status({ signal })
    // Somebody else has cancelled it; the next one is not ours.
    if (status.state === 'idle') this.#ours = false
    return status
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const start = performance.now()
    let last = ''
    for (;;) {
      const status = await this.#ask(signal)
      const text = describeStatus(status)
      const seconds = Math.round((performance.now() - start) / 1000)
      if (this.#options.terminal) this.#change(`${text} (${seconds} s)`)
      else if (text !== last) this.#say(text)
      last = text
      if (status.state === 'ready' && !status.streamingInProgress) return
      if (status.state === 'failed') throw new LogsFailedError('HCP says that preparing the logs failed.')
      if (status.state === 'idle') throw new LogsLostError('HCP has no log job.')
      await sleep(this.#options.interval, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }

  async #download(place: string, signal: AbortSignal): Promise<void> {
    const { file, size } = await this.#logs.downloadTo(place || this.#options.folder, {
      ...this.#what(),
      signal,
      onProgress: (progress) => this.#progress(progress),
    })
    this.#say(`${file}: ${size} bytes, whole.`)
  }

  async #collect(place: string, signal: AbortSignal): Promise<void> {
    const { startDate, endDate } = this.#selection
    let last = ''
    const { file, size, cancelled } = await this.#logs.collect({
      ...this.#what(),
      ...(startDate === undefined ? {} : { startDate }),
      ...(endDate === undefined ? {} : { endDate }),
      folder: place || this.#options.folder,
      interval: this.#options.interval,
      signal,
      onProgress: (progress) => {
        if (progress.phase === 'preparing') {
          const text = describeStatus(progress.status)
          if (text !== last) this.#say(text)
          last = text
        } else if (progress.phase !== 'cancelling') this.#progress(progress)
      },
    })
    // What could not be ended is ended with the shell.
    this.#ours = !cancelled
    this.#say(`${file}: ${size} bytes, whole.${cancelled ? '' : " HCP's job could not be ended."}`)
  }

  async #cancel(signal: AbortSignal): Promise<void> {
    await this.#logs.cancel({ signal })
    this.#ours = false
    this.#say('HCP has no log job any more.')
  }

  async #mark(text: string, signal: AbortSignal): Promise<void> {
    await this.#logs.mark(text, { signal })
    this.#say('Marked.')
  }

  async #clean(): Promise<void> {
    this.#selection = {}
    if (this.#ours) await this.#free('clean')
  }

  async #list(file: string, signal: AbortSignal): Promise<void> {
    await using logs = await LogPackage.open(file)
    for (const { number, address, archive } of logs.nodes) this.#say(`node ${number}, ${address}: ${archive}`)
    for await (const { path, size } of logs.files({ signal })) this.#say(`${path} ${size ?? ''}`.trimEnd())
    let requests = 0
    for await (const record of accessLog(logs, { signal })) requests += record.status > 0 ? 1 : 0
    this.#say(`${requests} requests in its request logs.`)
  }

  #help(): void {
    for (const [name, { help }] of this.#commands) this.#say(`${name.padEnd(9)}${help}`)
  }

  #what(): Omit<Selection, 'startDate' | 'endDate'> {
    const { startDate: _, endDate: __, ...what } = this.#selection
    return what
  }

  /** Whatever became of the command, HCP's one job is free for others again. */
  async #free(why: string): Promise<void> {
    try {
      await this.#logs.cancel({ signal: AbortSignal.timeout(15_000) })
      this.#ours = false
      this.#say(`The job that was started here has been cancelled (${why}).`)
    } catch (error) {
      this.#say(`The job that was started here could not be cancelled: ${(error as Error).message}`)
    }
  }

  #lastProgress = 0

  /** A few times a second. */
  #progress({ phase, bytes, attempt }: TransferProgress): void {
    const now = performance.now()
    if (now - this.#lastProgress < 200) return
    this.#lastProgress = now
    const again = attempt === 1 ? '' : `, try ${attempt}`
    const text = `${phase}: ${(bytes / 1_000_000).toFixed(1)} MB${again}`
    if (this.#options.terminal) this.#change(text)
    else this.#say(text)
  }

  /** In place of the line before. */
  #change(text: string): void {
    this.#options.output.write(`\r\u001B[K${text}`)
    this.#changing = true
  }

  #say(text: string): void {
    this.#options.output.write(`${this.#changing ? '\n' : ''}${text}\n`)
    this.#changing = false
  }
}

/** HCP has no job, so ours is gone. */
function isGone(error: unknown): boolean {
  return error instanceof LogsLostError || (error instanceof LogsNotReadyError && !error.retryable)
}

function describeStatus({ state, streamingInProgress, content }: LogStatus): string {
  const kinds = content.join(', ').toLowerCase()
  switch (state) {
    case 'idle':
      return 'HCP has no log job.'
    case 'preparing':
      return 'HCP is preparing the logs.'
    case 'failed':
      return 'Preparing the logs has failed; cancel and prepare again.'
    default:
      return streamingInProgress ? `Somebody is downloading ${kinds}.` : `Ready to download: ${kinds}.`
  }
}
