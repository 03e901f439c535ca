import { CommandError } from './command.ts'

/** One named check. It passes if `run` fulfils; what it rejects with is printed. */
export interface Step {
  readonly name: string
  readonly run: () => Promise<unknown>
}

/** Thrown by a step that found something wrong: one line for each finding. */
export class ProblemsError extends Error {
  override name = 'ProblemsError'

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
  }
}

/** A step for a check that answers with what it found wrong. */
export function problems(name: string, find: () => readonly string[] | Promise<readonly string[]>): Step {
  return {
    name,
    async run() {
      const found = await find()
      if (found.length > 0) throw new ProblemsError(found)
    },
  }
}

/** Runs steps, prints a line for each with its time in seconds, and counts. */
export class Report {
  passed = 0
  failed = 0
  readonly #write: (line: string) => void

  constructor(write: (line: string) => void = console.log) {
    this.#write = write
  }

  /**
   * Runs the steps, `parallel` at a time, each to its end whatever becomes of the others.
   *
   * @returns Whether all of them passed.
   */
  async run(steps: readonly Step[], parallel = 2): Promise<boolean> {
    const failedBefore = this.failed
    const waiting = steps.values()
    const worker = async (): Promise<void> => {
      // One iterator shared by all workers: each step goes to whoever is free first.
      for (const step of waiting) await this.#one(step)
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    return this.failed === failedBefore
  }

  /** Counts steps as failed that cannot run because an earlier one failed. */
  skip(steps: readonly Pick<Step, 'name'>[], reason: string): void {
    for (const { name } of steps) {
      this.failed += 1
      this.#write(`failed  ${name} (not run: ${reason})`)
    }
  }

  /** Adds what was counted elsewhere. */
  add({ passed, failed }: { readonly passed: number; readonly failed: number }): void {
    this.passed += passed
    this.failed += failed
  }

  /** The line that ends a run. */
  get summary(): string {
    return `${this.passed} passed, ${this.failed} failed`
  }

  async #one({ name, run }: Step): Promise<void> {
    const start = performance.now()
    const seconds = (): string => ((performance.now() - start) / 1_000).toFixed(1)
    try {
      await run()
      this.passed += 1
      this.#write(`ok      ${name} (${seconds()} s)`)
    } catch (error) {
      this.failed += 1
      this.#write(`failed  ${name} (${seconds()} s)\n${indent(explain(error))}`)
    }
  }
}

/** The message alone where it was written for this purpose; the stack where it is a surprise. */
function explain(error: unknown): string {
  if (error instanceof ProblemsError || error instanceof CommandError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '        ')
}
