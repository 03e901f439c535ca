/** Milliseconds that a preparation is thought to take until one has been seen. */
const usualPreparation = 120_000
/** Bytes of an archive, likewise. */
const usualSize = 256 * 1024 * 1024

/** 1 to 49, growing ever more slowly. @param elapsed Milliseconds. */
export function preparationPercentage(elapsed: number, usual: number = usualPreparation): number {
  return 1 + Math.floor(48 * share(elapsed / Math.max(1, usual)))
}

/** 50 to 95 by bytes against those of the last archive. */
export function transferPercentage(bytes: number, usual: number = usualSize): number {
  return 50 + Math.floor(45 * share(bytes / Math.max(1, usual)))
}

/** 96 to 99. */
export function storagePercentage(bytes: number, total: number): number {
  return 96 + Math.floor(3 * Math.min(1, bytes / Math.max(1, total)))
}

/** Four fifths when what is usual has been reached, all of it never quite. */
function share(part: number): number {
  return part <= 1 ? 0.8 * Math.max(0, part) : 1 - 0.2 / part
}
