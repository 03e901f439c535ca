/** The answer is no. The group of routes that was asked gives it its shape (errors.ts). */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number
  /** `error_code` of exports, such as `iMetal.0001`. */
  readonly code: string | undefined
  readonly headers: Readonly<Record<string, string>>

  /** @param message For the caller: what was wrong, and what to do. */
  constructor(
    status: number,
    message: string,
    options: { code?: string; headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = status
    this.code = options.code
    this.headers = options.headers ?? {}
  }
}
