/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/**
 * The value below which a share of all values lies, by linear interpolation between the two nearest.
 *
 * @param share 0 to 1: 0.99 for the 99th percentile.
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('there are no values')
  if (!(share >= 0 && share <= 1)) throw new RangeError('share must be from 0 to 1')
  const sorted = Float64Array.from(values).toSorted()
  const position = share * (sorted.length - 1)
  const below = sorted[Math.floor(position)] as number
  const above = sorted[Math.ceil(position)] as number
  return below + (above - below) * (position - Math.floor(position))
}

/**
 * How many times as fast one contestant was as another: the median of the ratios of each round. What disturbs a round
 * disturbs both alike, so this is steadier than the ratio of the medians.
 */
export function ratioOfRounds(subject: readonly number[], baseline: readonly number[]): number {
  if (subject.length !== baseline.length) throw new RangeError('both must have had the same rounds')
  return median(subject.map((rate, round) => rate / (baseline[round] as number)))
}
