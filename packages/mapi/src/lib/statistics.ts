import { document, type DocumentSchema, type Long, long, optional, record } from './schema.ts'

/**
 * What a tenant or namespace holds. HCP wants this to be asked for once an hour at most. What a newer HCP counts beside this is kept.
 *
 * @see HCP Management API Reference, "statistics"
 */
export interface MapiStatistics {
  readonly objectCount: Long
  /** Bytes that clients sent. */
  readonly ingestedVolume: Long
  /** Bytes in use, metadata and the copies of the data protection level included. */
  readonly storageCapacityUsed: Long
  /** Objects with annotations. */
  readonly customMetadataCount: Long
  readonly customMetadataSize: Long
  /** Deleted objects that wait for being shredded. */
  readonly shredCount: Long
  readonly shredSize: Long
  /** From newer systems only. */
  readonly compressedCount?: Long
  readonly compressedSavedSize?: Long
  readonly erasureCodedCount?: Long
  readonly erasureCodedSize?: Long
}

export const statisticsDocument: DocumentSchema<MapiStatistics> = document(
  'statistics',
  record({
    objectCount: long(),
    ingestedVolume: long(),
    storageCapacityUsed: long(),
    customMetadataCount: long(),
    customMetadataSize: long(),
    shredCount: long(),
    shredSize: long(),
    compressedCount: optional(long()),
    compressedSavedSize: optional(long()),
    erasureCodedCount: optional(long()),
    erasureCodedSize: optional(long()),
  }),
)
