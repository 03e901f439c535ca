import { HcpProtocolError, type HcpResponse } from '@hcp/connection'
import { checkBoolean, checkOptions } from '@hcp/connection/support'
import { describe, factsOf, ObjectNotFoundError } from './errors.ts'
import { type DirectoryEntry, directoryEntry, type Place, placeOf } from './listing-entry.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { protocolError } from './protocol-error.ts'
import { childElements } from './xml-reader.ts'

export interface ListOptions extends CallOptions {
  /** Deleted objects and directories too, of namespaces with versioning. Needed to list a deleted directory. Default false. */
  readonly deleted?: boolean
  /** The `changeTime` of subdirectories tells of what was added to or deleted from them too. Default false: when they were made. */
  readonly mostRecentDirTimes?: boolean
}

export const listOptions: readonly string[] = ['deleted', 'mostRecentDirTimes']
const knownList = known(...listOptions)

/**
 * What a directory has, in the order that HCP gives, while the listing comes in (Using a Namespace, "Listing directory contents").
 *
 * Nothing is sent before the first entry is asked for. Then the listing holds a connection until its end, or until it is given up
 * by leaving the loop or by the signal; a reader that is slow slows HCP down. Memory does not depend on the number of entries.
 *
 * @throws {TypeError | RangeError} at once, for wrong arguments.
 * @throws {ObjectNotFoundError} if there is no such directory, or an object of that name.
 * @throws {HcpProtocolError} if the listing is cut short or is none.
 */
export function listDirectory(
  requests: ObjectRequests,
  path: string,
  options: ListOptions = {},
): AsyncGenerator<DirectoryEntry, void> {
  checkOptions('list', options, knownList)
  checkListOptions(options)
  return oneByOne(listPieces(requests, placeOf(path, options.encoded), options), options.signal)
}

export function checkListOptions({ deleted, mostRecentDirTimes, encoded }: ListOptions): void {
  if (deleted !== undefined) checkBoolean('deleted', deleted)
  if (mostRecentDirTimes !== undefined) checkBoolean('mostRecentDirTimes', mostRecentDirTimes)
  if (encoded !== undefined) checkBoolean('encoded', encoded)
}

/** The entries of a directory, as many at a time as came in together. */
export async function* listPieces(
  requests: ObjectRequests,
  directory: Place,
  options: ListOptions,
): AsyncGenerator<readonly DirectoryEntry[], void> {
  const { deleted, mostRecentDirTimes } = options
  const response = await requests.send(
    'GET',
    directory.encodedPath,
    { ...options, encoded: true },
    {
      params: {
        deleted: deleted === true ? 'true' : undefined,
        mostRecentDirTimes: mostRecentDirTimes === true ? 'true' : undefined,
      },
      verifyHash: false,
    },
  )
  await checkIsDocument(
    response,
    ['object', 'annotation'],
    'this is an object, not a directory: read it, or take another path',
  )
  const fail = (what: string): Error => protocolError(response, what)
  try {
    for await (const elements of childElements(response, 'directory')) {
      yield elements
        .filter(({ name }) => name === 'entry')
        .map((element) => directoryEntry(element, directory, fail))
    }
  } catch (error) {
    // Whoever lists it anew should not get it from where it was damaged.
    if (error instanceof HcpProtocolError) {
      await response.dump()
      requests.connection.avoid(response.address)
    }
    throw error
  }
}

/**
 * Looks at the head of what should be a document: an object's content must not be taken for one.
 *
 * @param wrong What `X-HCP-Type` must not be. @param hint What to do if it is that.
 */
export async function checkIsDocument(
  response: HcpResponse,
  wrong: readonly string[],
  hint: string,
): Promise<void> {
  if (wrong.includes(response.header('x-hcp-type') ?? '')) {
    await response.dump()
    throw new ObjectNotFoundError(
      response.status,
      response.errorMessage,
      describe(response, hint),
      factsOf(response),
    )
  }
  const contentType = response.header('content-type') ?? 'nothing that it names'
  if (!/^(?:text|application)\/xml\b/i.test(contentType)) {
    await response.dump()
    throw protocolError(response, `is no XML but ${contentType}`)
  }
}

/** Entries from pieces; an abort is heard between any two. */
export async function* oneByOne<Entry>(
  pieces: AsyncIterable<readonly Entry[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void> {
  for await (const piece of pieces) {
    for (const entry of piece) {
      signal?.throwIfAborted()
      yield entry
    }
  }
}
