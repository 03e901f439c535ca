/**
 * What Hitachi's documents leave open, or state in two ways, and what the emulator does about it. Everything here is a
 * choice of ours: no client should be called correct because it agrees with it. Where real systems are known or
 * likely to differ, a field of {@link Choices} switches it; the plain constants are fixed.
 */
export interface Choices {
  /** Body of a GET's error answer: none (the default) or a short HTML page. The documents show none. */
  readonly errorBody: 'empty' | 'html'
  /**
   * `Accept-Encoding: identity`: served plain (the default) or refused with 406, as the table of codes says. Python's
   * standard client sends it on every request and is known to work on real systems.
   */
  readonly identityEncoding: 'plain' | 'refused'
  /** Time header of a PUT's answer: seen as `X-HCP-IngestTimeMilliseconds` (8.0) and as the other one (8.2). */
  readonly putTimeHeader: 'X-HCP-IngestTimeMilliseconds' | 'X-HCP-VersionCreateTimeMilliseconds'
  /** The `Server` header: sent up to 8.0, missing in the one answer of 8.2 that is public. Default true. */
  readonly serverHeader: boolean
  /** Whether the `Content-Type` of a PUT decides that of the object (9.7) or its name does (before; the default). */
  readonly contentTypeFromPut: boolean
  /** `X-HCP-CustomMetadataAnnotations` of an object without any: present and empty (captures) or left out (documents). */
  readonly emptyAnnotationsHeader: boolean
  /** A namespace that does not exist: 403 by the general table (the default), 400 by two single pages. */
  readonly unknownNamespace: 403 | 400
  /** Whole-object GET where the annotation is missing: 404 (the default), or the data alone. */
  readonly wholeObjectWithoutAnnotation: 404 | 200
  /** An annotation's PUT answers with its `X-HCP-Hash`. Not in the material; default true. */
  readonly annotationHash: boolean
  /**
   * Whether an old version that has been under retention can be deleted by its id once that has ended. By the documents
   * it cannot (the default); a purge removes it.
   */
  readonly deleteOldAfterRetention: boolean
  /**
   * Status of a POST that would shorten a retention period, or change the metadata of an object with labeled holds: 400 (the
   * default), as for the refusals that are documented, or 403.
   */
  readonly refusedChange: 400 | 403
  /** Order of the entries in a list of versions, which the documents do not give. Default: by ascending id. */
  readonly versionOrder: 'oldestFirst' | 'newestFirst'
  /**
   * Whether an object can leave its retention class for an explicit setting once it is not under retention: by the list
   * of codes it never can (the default), by the rule for objects without retention anything goes.
   */
  readonly leaveClassAfterRetention: boolean
  /**
   * `X-HCP-LabelRetentionHold` and `-Labels` (9.x): on objects with labeled holds only (the default), or on all. The
   * documents name them without their values: ours are `true` or `false`, and the JSON array of the labels that are set.
   */
  readonly labeledHoldHeaders: 'set' | 'always'
  /**
   * A copy onto an object that is there, with versioning: its system metadata, annotations and ACL are those of a new
   * object, as the page on copies says (`defaults`), or the version's before, as for other new versions (`inherits`).
   */
  readonly copiedVersion: 'defaults' | 'inherits'
  /** A copy from a namespace of another tenant, which the documents exclude without naming a status. Default 403. */
  readonly foreignCopySource: 403 | 400
  /**
   * GET of an access control list of an object that has none: an empty list (the default) or 204. The documents do not
   * say.
   */
  readonly missingAcl: 200 | 204
  /** Whether the permission `write` is enough to store an ACL, as one table says; others name `writeAcl` only (default). */
  readonly writeStoresAcl: boolean
  /** What the HEAD of an object needs: `read` by one table (the default), `browse` by the page on it. */
  readonly headPermission: 'read' | 'browse'
  /** A `Range` of several ranges, which the documents do not mention: ignored (the default), or refused with 416. */
  readonly multipleRanges: 'ignored' | 'refused'
  /** Conditional headers with an annotation: ignored (7.3.1 and 9.7; the default), or 400 (a table of 2016). */
  readonly annotationConditions: 'ignored' | 'refused'
  /** Conditional headers on a POST: ignored (the default), or 400 as the general table has it. */
  readonly postConditions: 'ignored' | 'refused'
  /**
   * Annotations not named `default`: 1 MB at most where the namespace checks XML, and 1 GB elsewhere (`checked`, the
   * default), or never more than 1 MB, as the table of codes can be read (`always`).
   */
  readonly smallAnnotations: 'checked' | 'always'
  /** A name that cannot be used, such as `.directory-metadata`: 400 (the default) or 403. */
  readonly reservedName: 400 | 403
  /** A version asked for by its id that is a delete marker: 204 by most pages (the default), 404 by one line. */
  readonly deletedVersion: 204 | 404
  /** Whether a new version has the annotations of the one before: yes by the pages on REST (the default), no by those on S3. */
  readonly inheritAnnotations: boolean
  /**
   * Whether a web browser that asks for something under `/rest` is sent to `/browser` (302). Documented without its trigger
   * and status; default false. When on: a GET without credentials whose `Accept` has `text/html`, from a `Mozilla/`.
   */
  readonly browserRedirect: boolean
  /**
   * A PUT of a version while another is on its way: both are stored (the default), as one page says, or the second is
   * refused with 409, as the table of codes says.
   */
  readonly concurrentVersions: 'stored' | 'refused'
  /**
   * `X-HCP-ErrorMessage`: with 400, 403 and 503 only, as documented, and with the 204 of an annotation (the default); or on
   * every refusal that has something to say, which helps in finding out why.
   */
  readonly errorMessages: 'documented' | 'always'
  /**
   * What happens to an object that loses its name to one that the other system made meanwhile, where the namespace does not
   * say: moved to `.lost+found` (the default) or renamed to end in `.collision`. The documents name no default.
   */
  readonly collisions: 'MOVE' | 'RENAME'
  /** Status of an action on a replication link that does not go with its type or state, which the documents leave open. */
  readonly refusedAction: 400 | 403 | 409
  /**
   * Whether the certificates of linked systems hold for the names of both, so that a client goes on after a DNS failover
   * (the default), or for their own only. HCP synchronises domains and certificates where that is switched on.
   */
  readonly synchronizedCertificates: boolean
  /** Milliseconds that a package of logs is being prepared; the documents say seconds to minutes. Default 300. */
  readonly logPreparationMs: number
  /**
   * The archives in a package of logs: compressed by gzip (the default) or not at all. HCP 7 has bzip2, later releases xz;
   * the manifest names the files as they are.
   */
  readonly logArchives: 'tar.gz' | 'tar'
  /** Whether HTTPS is open on a namespace that was made through the management API: false (the default), or true. */
  readonly newNamespaceHttps: boolean
}

export const defaultChoices: Choices = {
  errorBody: 'empty',
  identityEncoding: 'plain',
  putTimeHeader: 'X-HCP-IngestTimeMilliseconds',
  serverHeader: true,
  contentTypeFromPut: false,
  emptyAnnotationsHeader: true,
  unknownNamespace: 403,
  wholeObjectWithoutAnnotation: 404,
  annotationHash: true,
  deleteOldAfterRetention: false,
  refusedChange: 400,
  versionOrder: 'oldestFirst',
  leaveClassAfterRetention: false,
  labeledHoldHeaders: 'set',
  copiedVersion: 'defaults',
  foreignCopySource: 403,
  missingAcl: 200,
  writeStoresAcl: false,
  headPermission: 'read',
  multipleRanges: 'ignored',
  annotationConditions: 'ignored',
  postConditions: 'ignored',
  smallAnnotations: 'checked',
  reservedName: 400,
  deletedVersion: 204,
  inheritAnnotations: true,
  browserRedirect: false,
  concurrentVersions: 'stored',
  errorMessages: 'documented',
  collisions: 'MOVE',
  refusedAction: 400,
  synchronizedCertificates: true,
  logPreparationMs: 300,
  logArchives: 'tar.gz',
  newNamespaceHttps: false,
}

/** The path's part after `rest`, in decoded bytes with its separators, leading one included. Documented: 4,095. */
export const maximumPathLength = 4_095

/** "2 TB" in the documents; read as a power of two. */
export const maximumObjectSize: number = 2 * 1024 ** 4

/** Documented as 1 GB for the default annotation; for others 1 MB where the namespace checks XML, else as the default. */
export const maximumAnnotationSize: number = 1024 ** 3
export const maximumCheckedAnnotationSize: number = 1024 ** 2

/** Documented: ten annotations per object. */
export const maximumAnnotations = 10

/** Documented for annotations whose XML is checked: levels of elements, and elements. */
export const maximumNesting = 100
export const maximumElements = 10_000

/** Documented: 64 characters. From notes of third parties: 100 labels an object. */
export const maximumLabelLength = 64
export const maximumLabels = 100

/** Documented: 1,000 grants. The documents name no size: one with as many fits. */
export const maximumGrants = 1_000
export const maximumAclSize: number = 4 * 1024 ** 2

/** Form body of a POST or DELETE; the documents name no limit. */
export const maximumFormSize: number = 64 * 1024

/** Requests with a longer head are answered 414: the length of a path is what fills a head in practice. */
export const maximumHeadSize: number = 64 * 1024

/** A refused upload: what is still to come of a small body is read, so that the connection can be used again. */
export const smallRemainder: number = 256 * 1024

/** A refused upload that is larger: so much is read and dropped after the answer, for so long, then the socket is cut. */
export const drainedBytes: number = 4 * 1024 * 1024
export const drainedTime = 5_000

/** Documented: connections that one node serves at once. Those above wait in silence. */
export const servedConnections = 254

/** Documented: an idle persistent connection is closed after 60 s. */
export const idleTime = 60_000

/** Names that cannot be stored: `.` and `.directory-metadata` by the documents, `..` by ours. */
export const refusedNames: ReadonlySet<string> = new Set(['.', '..', '.directory-metadata'])

/** Documents of the management API: none that makes sense comes near. */
export const maximumDocumentSize: number = 1024 ** 2
export const maximumDocumentDepth = 16
