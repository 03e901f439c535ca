import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { type Connection, HcpError, type SystemName } from '@hcp/connection'
import { PathBuilder } from '@hcp/pathbuilder'

/** An object that HCP said it has stored. */
export interface Acknowledged {
  readonly path: string
  readonly system: SystemName
  /** SHA-256 of the content, lower-case hex. */
  readonly hash: string
}

/** What was done in one phase. */
export interface Counts {
  readonly written: Record<SystemName, number>
  readonly read: Record<SystemName, number>
  /** Reads of objects that the system which answered did not have yet. */
  notYetThere: number
  /** Writes that failed without having reached a system. */
  notSent: number
  /** Writes of which nobody knows whether they were carried out. */
  unclear: number
  /** Reads that failed. */
  failedReads: number
}

export const noCounts = (): Counts => ({
  written: { primary: 0, replica: 0 },
  read: { primary: 0, replica: 0 },
  notYetThere: 0,
  notSent: 0,
  unclear: 0,
  failedReads: 0,
})

/** Writes and reads without pause, as an application would that knows nothing of failovers. */
export class Traffic {
  readonly acknowledged: Acknowledged[] = []
  /** Paths of which nobody knows whether they are there. */
  readonly unclear: { readonly path: string; readonly hash: string }[] = []
  /** Content that was read and was not what had been written: there must be none. */
  readonly damaged: string[] = []
  /** Longest time in which nothing succeeded. Milliseconds. */
  longestPause = 0
  counts: Counts = noCounts()
  readonly #connection: Connection
  readonly #builder = new PathBuilder({ initialPath: '/rest/failover' })
  readonly #size: number
  #number = 0
  #lastSuccess = performance.now()
  #running = true

  /** @param size Bytes of an object, about. */
  constructor(connection: Connection, size: number) {
    this.#connection = connection
    this.#size = size
  }

  /** Runs until `stop`. @param workers So many at a time. */
  async run(workers: number): Promise<void> {
    await Promise.all(Array.from({ length: workers }, () => this.#work()))
  }

  stop(): void {
    this.#running = false
  }

  async #work(): Promise<void> {
    while (this.#running) {
      await this.#write()
      await this.#read()
    }
  }

  async #write(): Promise<void> {
    const { objectPath: path, name } = this.#builder.getUnique(`${++this.#number}.txt`)
    const content = Buffer.alloc(this.#size, `${name} `)
    const hash = createHash('sha256').update(content).digest('hex')
    try {
      const response = await this.#connection.put(path, content, { deadline: 20_000 })
      await response.dump()
      if (response.ok) {
        this.acknowledged.push({ path, system: response.system, hash })
        this.counts.written[response.system]++
        this.#succeeded()
      } else if (response.status === 503 || response.status === 403) this.counts.notSent++
      else this.#isUnclear(path, hash)
    } catch (error) {
      if (!HcpError.isInstance(error)) throw error
      if (error.sent) this.#isUnclear(path, hash)
      else this.counts.notSent++
    }
  }

  #isUnclear(path: string, hash: string): void {
    this.unclear.push({ path, hash })
    this.counts.unclear++
  }

  async #read(): Promise<void> {
    const wanted = this.acknowledged[Math.floor(Math.random() * this.acknowledged.length)]
    if (wanted === undefined) return
    try {
      const response = await this.#connection.get(wanted.path, { deadline: 20_000, buffered: true })
      if (response.status === 200) {
        const hash = createHash('sha256')
          .update(await response.bytes())
          .digest('hex')
        if (hash !== wanted.hash) this.damaged.push(wanted.path)
        this.counts.read[response.system]++
        this.#succeeded()
        return
      }
      await response.dump()
      if (response.status === 404 || response.status === 410) this.counts.notYetThere++
      else this.counts.failedReads++
    } catch (error) {
      if (!HcpError.isInstance(error)) throw error
      this.counts.failedReads++
    }
  }

  #succeeded(): void {
    const now = performance.now()
    this.longestPause = Math.max(this.longestPause, now - this.#lastSuccess)
    this.#lastSuccess = now
  }
}
