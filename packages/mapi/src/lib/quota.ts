import { checkString } from '@hcp/connection/support'

const units: Readonly<Record<string, number>> = { MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 }

/**
 * A quota as HCP writes it, `50.00 GB`, in bytes. HCP's units are powers of 1,024, and it rounds to two decimals.
 *
 * @throws {RangeError} for other text.
 */
export function quotaBytes(quota: string): number {
  const [, amount, unit = ''] = /^(\d*\.?\d+)\s*(MB|GB|TB)$/.exec(checkString('quota', quota).trim()) ?? []
  if (amount === undefined) {
    throw new RangeError(
      `quota must be a number and MB, GB or TB, such as "50 GB", not ${JSON.stringify(quota)}`,
    )
  }
  return Math.round(Number(amount) * (units[unit] as number))
}
