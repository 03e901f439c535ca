import { checkBoolean, checkOptions } from '@hcp/connection/support'
import { checkIsDocument, oneByOne } from './directory-listing.ts'
import { sendHinted } from './hinted.ts'
import { type Place, placeOf, type VersionEntry, versionEntry } from './listing-entry.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { protocolError } from './protocol-error.ts'
import { childElements } from './xml-reader.ts'

export interface VersionListOptions extends CallOptions {
  /** Also the versions that only say that the object was deleted. Default false. */
  readonly deleted?: boolean
}

const knownVersions = known('deleted')

/**
 * The versions of an object, in the order that HCP gives, while the list comes in (Using a Namespace, "Listing object versions").
 * Reads as a directory's listing does.
 *
 * @throws {TypeError | RangeError} at once, for wrong arguments.
 * @throws {ObjectNotFoundError} if there is no such object, or a directory of that name.
 * @throws {HcpResponseError} 400 where versioning is off: HCP then shows no old versions, though it keeps them.
 * @throws {HcpProtocolError} if the list is cut short or is none.
 */
export function listVersions(
  requests: ObjectRequests,
  path: string,
  options: VersionListOptions = {},
): AsyncGenerator<VersionEntry, void> {
  checkOptions('versions', options, knownVersions)
  const { deleted, encoded } = options
  if (deleted !== undefined) checkBoolean('deleted', deleted)
  if (encoded !== undefined) checkBoolean('encoded', encoded)
  return oneByOne(versionPieces(requests, placeOf(path, encoded), options), options.signal)
}

async function* versionPieces(
  requests: ObjectRequests,
  object: Place,
  options: VersionListOptions,
): AsyncGenerator<readonly VersionEntry[], void> {
  const params = { version: 'list', deleted: options.deleted === true ? 'true' : undefined }
  const response = await sendHinted(
    requests,
    'GET',
    object.encodedPath,
    { ...options, encoded: true },
    { params, verifyHash: false },
    { 400: 'versions can be listed only while the namespace has versioning on' },
  )
  await checkIsDocument(response, ['directory'], 'directories have no versions: take the path of an object')
  const fail = (what: string): Error => protocolError(response, what)
  for await (const elements of childElements(response, 'versions')) {
    yield elements
      .filter(({ name }) => name === 'entry')
      .map((element) => versionEntry(element, object, fail))
  }
}
