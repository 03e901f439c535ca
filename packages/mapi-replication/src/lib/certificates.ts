import { document, type DocumentSchema, optional, record, repeated, text, timestamp } from '@hcp/mapi'
import { timeIfAny } from './link.ts'

/**
 * A certificate by which systems know each other when they replicate. The system's own one has the id `server`.
 *
 * @see HCP Management API Reference, "certificate"
 */
export interface ReplicationCertificate {
  readonly id: string
  readonly subjectDN?: string
  readonly validOn?: Date
  readonly expiresOn?: Date
}

export const certificatesSchema: DocumentSchema<{ readonly certificate: readonly ReplicationCertificate[] }> =
  document(
    'certificates',
    record({
      certificate: repeated(
        record({
          id: text(),
          subjectDN: optional(text()),
          validOn: timeIfAny(timestamp()),
          expiresOn: timeIfAny(timestamp()),
        }),
      ),
    }),
  )
