/** A listing of a directory as HCP 8 writes it, in parts. */
export const listingHead =
  '<?xml version="1.0" encoding="UTF-8"?>\n<directory path="/rest/d" utf8Path="/rest/d">\n'

/** Entries of the objects `object-<from>` up to before `object-<to>`, 700 bytes each. */
export function manyEntries(from: number, to: number): string {
  let text = ''
  for (let number = from; number < to; number++) {
    text +=
      `  <entry urlName="object-${number}" utf8Name="object-${number}" type="object" size="10"` +
      ' hashScheme="SHA-256" hash="7C73A30C03A912013835111FDC8FDC115184608DD97BA2CB51E5AC0B6B80F0CB"' +
      ' etag="1deda6a3fe1cdde8832d2b6c8f71e3ef" retention="0" retentionString="Deletion Allowed" retentionClass=""' +
      ' ingestTime="1700000000" ingestTimeMilliseconds="1700000000123" ingestTimeString="11/14/2023 10:13PM"' +
      ' hold="false" shred="false" dpl="2" index="true" customMetadata="true" customMetadataAnnotations="ticket;43"' +
      ' version="108800000007873" replicated="false" changeTimeMilliseconds="1700000000201.00"' +
      ' changeTimeString="2023-11-14T22:13:20+0000" owner="alice" domain="" hasAcl="false" state="created"/>\n'
  }
  return text
}
