import { createInterface, type Interface } from 'node:readline'

/** Asks on the terminal, or whatever is on standard input; its end is a no. */
export class Questions {
  readonly #always: boolean
  readonly #signal: AbortSignal
  #reader: Interface | undefined
  #lines: AsyncIterator<string> | undefined

  /** @param always Each answer is yes, without asking. */
  constructor(always: boolean, signal: AbortSignal) {
    this.#always = always
    this.#signal = signal
  }

  async ask(question: string): Promise<boolean> {
    process.stdout.write(`${question} [y/N] `)
    if (this.#always) {
      console.log('y')
      return true
    }
    if (this.#lines === undefined) {
      const reader = createInterface({ input: process.stdin })
      this.#signal.addEventListener('abort', () => reader.close(), { once: true })
      this.#reader = reader
      this.#lines = reader[Symbol.asyncIterator]()
    }
    const { done, value } = await this.#lines.next()
    if (!process.stdin.isTTY) console.log(done === true ? '' : value)
    return done !== true && /^y(?:es)?$/i.test(value.trim())
  }

  close(): void {
    this.#reader?.close()
  }
}
