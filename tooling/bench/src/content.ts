export const kibibyte = 1024
export const gibibyte: number = 1024 ** 3

/** The sizes of the cells: what fits one packet, and what takes several reads. Bytes. */
export const sizes: readonly number[] = [kibibyte, 128 * kibibyte]

/** The same bytes each time for a size, so that the server knows their hash without keeping what it is sent. */
export const content = (size: number): Buffer => Buffer.alloc(size, 'the same bytes each time, ')

export const sizeName = (bytes: number): string => {
  if (bytes % gibibyte === 0) return `${bytes / gibibyte} GiB`
  return bytes % kibibyte ** 2 === 0 ? `${bytes / kibibyte ** 2} MiB` : `${bytes / kibibyte} KiB`
}
