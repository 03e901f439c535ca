/** Where a bar is shown. */
export interface ProgressOutput {
  readonly isTTY?: boolean | undefined
  write(text: string): unknown
}

const width = 30
const clearLine = '\r\u001b[2K'

/** How far a piece of work has come: one line drawn again and again on a terminal, elsewhere a line for every quarter. */
export class ProgressBar implements Disposable {
  readonly #label: string
  readonly #total: number
  readonly #output: ProgressOutput
  #done = 0
  #shown = -1

  constructor(label: string, total: number, output: ProgressOutput = process.stdout) {
    this.#label = label
    this.#total = total
    this.#output = output
    this.#show()
  }

  get done(): number {
    return this.#done
  }

  /** One more is done. */
  advance(): void {
    this.#done += 1
    this.#show()
  }

  /** Prints a line of text, above the bar. */
  say(line: string): void {
    this.#output.write(this.#terminal ? `${clearLine}${line}\n${this.#line()}` : `${line}\n`)
  }

  /** The bar stays as it is, and what is printed next goes below it. */
  [Symbol.dispose](): void {
    if (this.#terminal) this.#output.write('\n')
  }

  get #terminal(): boolean {
    return this.#output.isTTY === true
  }

  get #percent(): number {
    return this.#total === 0 ? 100 : Math.floor((this.#done / this.#total) * 100)
  }

  #show(): void {
    const step = this.#terminal ? this.#percent : Math.floor(this.#percent / 25)
    if (step === this.#shown) return
    this.#shown = step
    this.#output.write(this.#terminal ? clearLine + this.#line() : `${this.#line()}\n`)
  }

  #line(): string {
    const percent = `${this.#percent} %`.padStart(5)
    const text = `${percent}  ${this.#done} of ${this.#total}`
    if (!this.#terminal) return `${this.#label} ${text}`
    const filled = Math.floor((this.#percent / 100) * width)
    return `${this.#label} [${'='.repeat(filled)}${' '.repeat(width - filled)}] ${text}`
  }
}
