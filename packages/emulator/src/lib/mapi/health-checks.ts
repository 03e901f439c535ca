import type { Readable } from 'node:stream'
import { ZipFile } from 'yazl'
import { Refusal } from '../refusal.ts'

/** What a report of the system's health is made from. */
interface Examined {
  readonly domain: string
  readonly softwareVersion: string
  readonly choices: { readonly logPreparationMs: number }
  readonly nodes: () => readonly { readonly number: number; readonly up: boolean }[]
  now(): number
}

type Job =
  | { readonly state: 'preparing'; readonly timer: NodeJS.Timeout }
  | { readonly state: 'prepared'; readonly made: number; readonly streams: Set<Readable> }

/** The one report of a system's health: prepared, then downloaded, until it is cancelled. */
export class HealthChecks {
  readonly #system: Examined
  #job: Job | undefined

  constructor(system: Examined) {
    this.#system = system
  }

  status(): Record<string, boolean | string> {
    const job = this.#job
    return {
      readyForStreaming: job?.state === 'prepared',
      streamingInProgress: job?.state === 'prepared' && job.streams.size > 0,
      error: false,
      started: job !== undefined,
      content: 'HCR',
    }
  }

  prepare(): void {
    if (this.#job !== undefined)
      throw new Refusal(400, 'A health check report download is already in progress. Cancel it first.')
    const timer = setTimeout(() => {
      this.#job = { state: 'prepared', made: this.#system.now(), streams: new Set() }
    }, this.#system.choices.logPreparationMs).unref()
    this.#job = { state: 'preparing', timer }
  }

  /** @param nodes Numbers of the nodes; all without it. */
  download(nodes: readonly number[] | undefined): { readonly fileName: string; readonly body: Readable } {
    const job = this.#job
    if (job?.state !== 'prepared')
      throw new Refusal(400, 'No health check report is ready: prepare it first.')
    if (job.streams.size > 0) throw new Refusal(400, 'A health check report is streaming at the moment.')
    const all = this.#system.nodes()
    for (const number of nodes ?? []) {
      if (!all.some((node) => node.number + 100 === number))
        throw new Refusal(400, `The parameter 'nodes' names ${number}, which is no node.`)
    }
    const zip = new ZipFile()
    const day = new Date(job.made).toISOString().slice(0, 10).replaceAll('-', '')
    for (const { number, up } of all) {
      if (nodes !== undefined && !nodes.includes(number + 100)) continue
      const text = [
        `system,${this.#system.domain}`,
        `node,${number + 100}`,
        `software,${this.#system.softwareVersion}`,
        `state,${up ? 'available' : 'unavailable'}`,
        '',
      ].join('\n')
      zip.addBuffer(Buffer.from(text), `HCR/node-${number + 100}.csv`, { mtime: new Date(job.made) })
    }
    zip.end()
    const body = zip.outputStream as Readable
    job.streams.add(body)
    body.once('close', () => job.streams.delete(body))
    return { fileName: `HCPHealthCheckReport_${this.#system.domain}_${day}.zip`, body }
  }

  cancel(): void {
    const job = this.#job
    this.#job = undefined
    if (job?.state === 'preparing') clearTimeout(job.timer)
    if (job?.state === 'prepared') for (const stream of job.streams) stream.destroy(new Error('cancelled'))
  }
}
