import { LogPackageError } from './errors.ts'

/** What a package may at most hold, so that one that was made to do harm does none. */
export interface PackageLimits {
  /** Files and folders in all archives. Default 1,000,000. */
  readonly entries?: number
  /** Bytes of all content, that of archives in archives counting too. Default 256 GiB. */
  readonly bytes?: number
  /** How many times its packed size a content may have, looked at once it is over 16 MiB. Default 2,000. */
  readonly ratio?: number
  /** Archives in archives. Default 6; HCP's packages have 3. */
  readonly depth?: number
}

const tolerated = 16 * 1024 * 1024

/** Counts what is read from a package. Reading the same content again counts again only where a new count is begun. */
export class Allowance {
  readonly #entries: number
  readonly #bytes: number
  readonly #ratio: number
  readonly #depth: number
  #seenEntries = 0
  #seenBytes = 0

  constructor({ entries, bytes, ratio, depth }: Required<PackageLimits>) {
    this.#entries = entries
    this.#bytes = bytes
    this.#ratio = ratio
    this.#depth = depth
  }

  entry(place: string): void {
    this.#seenEntries += 1
    if (this.#seenEntries > this.#entries)
      throw new LogPackageError(place, 'limit', `the package holds more than ${this.#entries} entries`)
  }

  bytes(place: string, count: number): void {
    this.#seenBytes += count
    if (this.#seenBytes > this.#bytes)
      throw new LogPackageError(place, 'limit', `the package holds more than ${this.#bytes} bytes`)
  }

  depth(place: string, depth: number): void {
    if (depth > this.#depth)
      throw new LogPackageError(
        place,
        'limit',
        `more than ${this.#depth} archives are packed into each other`,
      )
  }

  ratio(place: string, packed: number, unpacked: number): void {
    if (unpacked > tolerated && unpacked > packed * this.#ratio)
      throw new LogPackageError(place, 'limit', `it unpacks to more than ${this.#ratio} times its size`)
  }
}

export const defaultLimits: Required<PackageLimits> = {
  entries: 1_000_000,
  bytes: 256 * 1024 ** 3,
  ratio: 2_000,
  depth: 6,
}
