import {
  type MapiCallOptions,
  MapiClient,
  type MapiClientOptions,
  MapiDocumentError,
  type MapiPath,
  mapiPath,
  type MapiRoles,
  nameList,
} from '@hcp/mapi'
import { logged, type OnAction } from './action-log.ts'
import { checkLinkName, checkText, checkWhole, longestTime } from './arguments.ts'
import { certificatesSchema, type ReplicationCertificate } from './certificates.ts'
import { checkAction, checkLinkType, LinkAction, type LinkType } from './constants.ts'
import {
  type ContentKind,
  contentSchema,
  type LinkContent,
  type TenantReplication,
  tenantSchema,
} from './content.ts'
import { ReplicationGuardError } from './errors.ts'
import { type ActionResult, actOn } from './link-actions.ts'
import {
  changedLinkDocument,
  type LinkChanges,
  newLinkDocument,
  type NewLink,
  settingsDocument,
} from './link-documents.ts'
import { linkState } from './link-state.ts'
import { type Link, linkSchema, type LinkSettings, linkSettingsSchema } from './link.ts'
import { checkSchedule, type LinkSchedule, type ScheduleChanges, scheduleSchema } from './schedule.ts'
import { type ReplicationSettings, settingsSchema } from './settings.ts'
import { type WaitOptions, waitForLink } from './wait-for.ts'
import { type LinkEvent, watchLink, type WatchOptions } from './watch.ts'
import type { LinkCondition } from './when.ts'

/** Of the client. All but `onAction` belong to the `MapiClient` that it makes. */
export interface ReplicationClientOptions extends MapiClientOptions {
  /** Told of everything that changes the system, before and after it; see {@link OnAction}. */
  readonly onAction?: OnAction
}

/** Of each call. Times in milliseconds; their defaults are those of the `MapiClient`. */
export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason. Whether a change was carried out is not known then. */
  readonly signal?: AbortSignal
  readonly deadline?: number
  readonly headersTimeout?: number
}

export interface ActionOptions extends CallOptions {
  /** Send it without a look at the link before, and without the rules that come from its state. Default false. */
  readonly unchecked?: boolean
  /**
   * How long the link may take to show what was done, where that has to be seen: after a lost answer, and after `beginRecovery`.
   * Milliseconds, default 10,000.
   */
  readonly patience?: number
}

const kinds: ReadonlySet<unknown> = new Set<ContentKind>([
  'tenants',
  'defaultNamespaceDirectories',
  'chainedLinks',
])
const readers: MapiRoles = { system: ['MONITOR', 'ADMINISTRATOR'] }
const changers: MapiRoles = { system: ['ADMINISTRATOR'] }

const root = ['services', 'replication'] as const
const servicePath = mapiPath(...root)
const linksPath = mapiPath(...root, 'links')
const linkPath = (link: string, ...rest: readonly string[]): MapiPath =>
  mapiPath(...root, 'links', checkLinkName(link), ...rest)
const certificatePath = (...rest: readonly string[]): MapiPath => mapiPath(...root, 'certificates', ...rest)

/** PEM of a certificate has a few thousand bytes. */
const longestCertificate = 1024 ** 2

/** Of a certificate, in milliseconds: as for all other calls. */
const longestTransfer = 600_000

/**
 * The replication of one system: its links, what is on them, and what can be done to them.
 *
 * Every method rejects with
 * - `MapiError` of `@hcp/mapi`, or one of its subclasses, where HCP answers that it does not do it (`MapiNotFoundError`: no such link);
 * - what `Connection` rejects with where no answer came; the signal's reason;
 * - `TypeError` or `RangeError` for wrong arguments, before anything is sent.
 *
 * The actions on links also reject with {@link ReplicationGuardError} (it cannot be done to the link as it is, and was not sent),
 * `ReplicationRefusedError` (HCP said no) and `ReplicationUncertainError` (it is not known whether it was done).
 *
 * What changes something is sent once and never repeated. Reading needs the role MONITOR or ADMINISTRATOR of a system account, changing
 * ADMINISTRATOR.
 *
 * @example
 *   await using replication = new ReplicationClient(new Target('admin.hcp.example.com', { port: Port.mapi, authorization }))
 *   const { status, statistics } = await replication.link('north-south')
 * @see HCP Management API Reference, "Replication resources"
 */
export class ReplicationClient implements AsyncDisposable {
  readonly mapi: MapiClient
  /** The host that is asked: `admin.<domain>`. */
  readonly system: string
  readonly #owned: boolean
  readonly #onAction: OnAction | undefined

  /**
   * @param source The system: a target, or a connection or `MapiClient`, which stay their owner's.
   * @throws {TypeError | RangeError} for another source; for the host of a tenant, which knows no replication.
   */
  constructor(
    source: MapiClient | ConstructorParameters<typeof MapiClient>[0],
    options: ReplicationClientOptions = {},
  ) {
    const { onAction, ...mapiOptions } = options
    if (onAction !== undefined && typeof onAction !== 'function') {
      throw new TypeError('onAction must be a function')
    }
    this.#owned = !(source instanceof MapiClient)
    if (source instanceof MapiClient) {
      if (Object.keys(mapiOptions).length > 0) {
        throw new TypeError('ReplicationClient: a MapiClient has options of its own already')
      }
      this.mapi = source
    } else this.mapi = new MapiClient(source, mapiOptions)
    this.system = this.mapi.target.fqdn
    if (this.mapi.level === 'tenant') {
      throw new RangeError(
        `Replication is asked of the system, admin.<domain>, not of ${this.system}, which is a tenant's host`,
      )
    }
    if (this.mapi.target.replica !== undefined) {
      throw new RangeError(
        `${this.system} has a replica as a target: what is meant for one system must not be asked of the other. Give a target without`,
      )
    }
    this.#onAction = onAction
  }

  /** The settings of the replication service, and whether it was shut down. */
  settings(options?: CallOptions): Promise<ReplicationSettings> {
    return this.mapi.read(servicePath, settingsSchema, { ...options, roles: readers, verbose: true })
  }

  /** Changes the settings that are named. @param changes `status` is not one of them. */
  async changeSettings(changes: ReplicationSettings, options?: CallOptions): Promise<void> {
    const document = settingsDocument(changes)
    await this.#log('changeSettings', undefined, undefined, () =>
      this.mapi.change(servicePath, document, { ...options, roles: changers }),
    )
  }

  /**
   * Stops all activity on all links of this system, in both directions: no replication, no recovery, no reading from the other system.
   *
   * @param reason For the system's log, at most 1,024 characters.
   */
  async shutDownAllLinks(reason: string, options?: CallOptions): Promise<void> {
    checkText('reason', reason, 1024)
    await this.#log('shutDownAllLinks', undefined, reason, () =>
      this.mapi.act(servicePath, 'shutDownAllLinks', reason, { ...options, roles: changers }),
    )
  }

  /** Brings each link back to what it did before `shutDownAllLinks`; one that was suspended stays so. */
  async reestablishAllLinks(options?: CallOptions): Promise<void> {
    await this.#log('reestablishAllLinks', undefined, undefined, () =>
      this.mapi.act(servicePath, 'reestablishAllLinks', '', { ...options, roles: changers }),
    )
  }

  /** The names of the links. */
  links(options?: CallOptions): Promise<readonly string[]> {
    return this.mapi.read(linksPath, nameList('links', 'name'), { ...options, roles: readers })
  }

  /** A link with its status and statistics. @throws {MapiNotFoundError} if there is none of this name. */
  async link(name: string, options?: CallOptions): Promise<Link> {
    return this.mapi.read(linkPath(name), linkSchema, { ...options, roles: readers, verbose: true })
  }

  /** What of a link can be set, and nothing else: fit for `changeLink`. */
  async linkSettings(name: string, options?: CallOptions): Promise<LinkSettings> {
    return this.mapi.read(linkPath(name), linkSettingsSchema, { ...options, roles: readers })
  }

  /** Whether there is a link of this name. */
  async hasLink(name: string, options?: CallOptions): Promise<boolean> {
    return this.mapi.exists(linkPath(name), { ...options, roles: readers })
  }

  /**
   * Makes a link, on both systems. Before, each must have the other's replication certificate.
   *
   * @throws {MapiConflictError} if the name is taken.
   */
  async createLink(link: NewLink, options?: CallOptions): Promise<void> {
    const document = newLinkDocument(link)
    await this.#log('createLink', link.name, undefined, () =>
      this.mapi.create(linksPath, document, { ...options, roles: changers }),
    )
  }

  /**
   * Changes what is named. Activity rests for a moment; when `type` becomes `ACTIVE_ACTIVE`, which cannot be undone, the link stays suspended
   * until it is resumed.
   */
  async changeLink(name: string, changes: LinkChanges, options?: CallOptions): Promise<void> {
    const path = linkPath(name)
    const document = changedLinkDocument(changes)
    await this.#log('changeLink', name, undefined, () =>
      this.mapi.change(path, document, { ...options, roles: changers }),
    )
  }

  /**
   * Deletes a link on both systems; what was on it stays there, and writable on both.
   *
   * @throws {ReplicationGuardError} unless it is suspended.
   */
  async deleteLink(
    name: string,
    { unchecked = false, ...options }: Omit<ActionOptions, 'patience'> = {},
  ): Promise<void> {
    const path = linkPath(name)
    if (!unchecked) {
      const link = await this.link(name, options)
      if (!link.suspended) {
        const message = `The link "${name}" was not deleted: HCP deletes only what is suspended`
        throw new ReplicationGuardError('state', 'deleteLink', name, linkState(link), message)
      }
    }
    await this.#log('deleteLink', name, undefined, () =>
      this.mapi.remove(path, { ...options, roles: changers }),
    )
  }

  /** Stops sending in both directions. */
  async suspend(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.suspend, undefined, options)
  }

  /** Goes on after `suspend`. */
  async resume(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.resume, undefined, options)
  }

  /** Makes the link anew on a system that was rebuilt, and sends it everything. Asked of the one that still has the link. */
  async restore(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.restore, undefined, options)
  }

  /** This system takes over. On an active/passive link it must be the replica. `planFailover` leads through all of it. */
  async failOver(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.failOver, undefined, options)
  }

  /** Active/active: replication goes on in both directions. Asked of the system that took over. */
  async failBack(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.failBack, undefined, options)
  }

  /**
   * Active/passive, asked of the replica: the primary gets back what it lacks, and is read-only. Resolves when the link shows it; a release
   * that calls it `beginRecover` is sent that word.
   */
  async beginRecovery(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.beginRecovery, undefined, options)
  }

  /** Active/passive, asked of the replica: it is read-only from now on, the rest is copied, then the link goes back to normal by itself. */
  async completeRecovery(name: string, options?: ActionOptions): Promise<ActionResult> {
    return this.#act(name, LinkAction.completeRecovery, undefined, options)
  }

  /**
   * Any action, as the Python package has it.
   *
   * @param linkType What the caller takes the link to be. Never needed: the link says so itself.
   * @throws {ReplicationGuardError} also if the link is of another type.
   */
  async setReplicationLinkState(
    name: string,
    action: LinkAction,
    linkType?: LinkType,
    options?: ActionOptions,
  ): Promise<ActionResult> {
    const checked = checkAction(action)
    return this.#act(name, checked, linkType === undefined ? undefined : checkLinkType(linkType), options)
  }

  /** What is on the link. */
  async content(name: string, options?: CallOptions): Promise<LinkContent> {
    return this.mapi.read(linkPath(name, 'content'), contentSchema, { ...options, roles: readers })
  }

  /** The names of one kind that are on the link. */
  async members(name: string, kind: ContentKind, options?: CallOptions): Promise<readonly string[]> {
    const path = linkPath(name, 'content', checkKind(kind))
    return this.mapi.read(path, nameList(kind, 'name'), { ...options, roles: readers })
  }

  /** Puts a tenant, directory of the default namespace or link on the link. */
  async add(name: string, kind: ContentKind, member: string, options?: CallOptions): Promise<void> {
    const path = linkPath(name, 'content', checkKind(kind), member)
    await this.#log('add', name, member, () =>
      this.mapi.create(path, undefined, { ...options, roles: changers }),
    )
  }

  /** Takes it off again; it stays on both systems. */
  async remove(name: string, kind: ContentKind, member: string, options?: CallOptions): Promise<void> {
    const path = linkPath(name, 'content', checkKind(kind), member)
    await this.#log('remove', name, member, () => this.mapi.remove(path, { ...options, roles: changers }))
  }

  /** How the replication of a tenant goes on. @throws {MapiNotFoundError} if it is not on the link. */
  async tenant(name: string, tenant: string, options?: CallOptions): Promise<TenantReplication> {
    const path = linkPath(name, 'content', 'tenants', tenant)
    return this.mapi.read(path, tenantSchema, { ...options, roles: readers })
  }

  async pauseTenant(name: string, tenant: string, options?: CallOptions): Promise<void> {
    await this.#tenant('pauseTenant', 'pause', name, tenant, options)
  }

  /** Goes on from the last checkpoint; also what HCP paused itself, once the cause is gone. */
  async resumeTenant(name: string, tenant: string, options?: CallOptions): Promise<void> {
    await this.#tenant('resumeTenant', 'resume', name, tenant, options)
  }

  /** What of this system could be put on the link. */
  async localCandidates(name: string, options?: CallOptions): Promise<LinkContent> {
    return this.mapi.read(linkPath(name, 'localCandidates'), contentSchema, { ...options, roles: readers })
  }

  /** What of the other system could be put on the link; asks that system. */
  async remoteCandidates(name: string, options?: CallOptions): Promise<LinkContent> {
    return this.mapi.read(linkPath(name, 'remoteCandidates'), contentSchema, { ...options, roles: readers })
  }

  /** When the link may send, and how fast. */
  async schedule(name: string, options?: CallOptions): Promise<LinkSchedule> {
    return this.mapi.read(linkPath(name, 'schedule'), scheduleSchema, { ...options, roles: readers })
  }

  /** Changes the sides that are given. */
  async changeSchedule(name: string, changes: ScheduleChanges, options?: CallOptions): Promise<void> {
    const path = linkPath(name, 'schedule')
    checkSchedule(changes)
    const document = {
      root: 'schedule',
      value: changes as Parameters<MapiClient['change']>[1]['value'],
    }
    await this.#log('changeSchedule', name, undefined, () =>
      this.mapi.change(path, document, { ...options, roles: changers }),
    )
  }

  /** The certificates by which this system knows others when it replicates, and its own, `server`. */
  async certificates(options?: CallOptions): Promise<readonly ReplicationCertificate[]> {
    const document = await this.mapi.read(certificatePath(), certificatesSchema, {
      ...options,
      roles: readers,
    })
    return document.certificate
  }

  /** One of them as PEM text. @param id Default: this system's own, to be uploaded to the other one. */
  async certificate(id = 'server', options?: CallOptions): Promise<string> {
    const response = await this.mapi.open('GET', certificatePath(id), {
      ...options,
      deadline: options?.deadline ?? longestTransfer,
      roles: id === 'server' ? changers : readers,
    })
    const { method, url, address, attempts } = response
    const fault = (why: string): MapiDocumentError =>
      new MapiDocumentError(`The answer to ${method} ${url} is not HCP's certificate "${id}": ${why}.`, {
        method,
        url,
        address,
        attempts,
        sent: true,
      })
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of response) {
      size += piece.length
      if (size > longestCertificate) throw fault(`it has more than ${longestCertificate} bytes`)
      pieces.push(piece)
    }
    const pem = Buffer.concat(pieces, size).toString('utf8')
    if (pem.trim() === '') throw fault('it is empty')
    if (/^text\/html\b/i.test(response.header('content-type') ?? '')) throw fault('it is a web page')
    return pem
  }

  /** Makes another system known. @param pem What `certificate()` of that system gives. */
  async uploadCertificate(pem: string, options?: CallOptions): Promise<void> {
    if (typeof pem !== 'string') throw new TypeError('The certificate must be PEM text')
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
      throw new RangeError(
        'This is no PEM text of a certificate: it has no line "-----BEGIN CERTIFICATE-----"',
      )
    }
    if (pem.includes('PRIVATE KEY-----')) {
      throw new RangeError(
        'This has a private key in it, which must not leave its system: give the certificate only',
      )
    }
    await this.#log('uploadCertificate', undefined, undefined, async () => {
      const contentType = 'text/plain'
      const deadline = options?.deadline ?? longestTransfer
      const upload = { ...options, deadline, roles: changers, contentType, body: pem }
      await (await this.mapi.open('PUT', certificatePath(), upload)).dump()
    })
  }

  async deleteCertificate(id: string, options?: CallOptions): Promise<void> {
    const path = certificatePath(id)
    await this.#log('deleteCertificate', undefined, id, () =>
      this.mapi.remove(path, { ...options, roles: changers }),
    )
  }

  /**
   * Looks at a link again and again, and tells what changed: the first item is the link as it is. One look follows the other, and none is
   * made while nobody waits for an item. A link that cannot be read meanwhile is an item, too, and the watch goes on.
   */
  watch(name: string, options: WatchOptions = {}): AsyncGenerator<LinkEvent, void> {
    checkLinkName(name)
    return watchLink((signal) => this.link(name, signal && { signal }), options)
  }

  /**
   * Looks at a link until a condition holds: one of `when`, or any function of the link.
   *
   * @returns The link as it is then. Errors that pass by themselves do not end the wait.
   * @throws {ReplicationTimeoutError} after the deadline, with the link as it was last seen.
   */
  async waitFor(name: string, condition: LinkCondition, options: WaitOptions = {}): Promise<Link> {
    checkLinkName(name)
    return waitForLink(name, (signal) => this.link(name, signal && { signal }), condition, options)
  }

  /** Closes the `MapiClient` that was made for a target; one that was passed in is left alone. */
  async close(): Promise<void> {
    if (this.#owned) await this.mapi.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #act(
    name: string,
    action: LinkAction,
    expected: LinkType | undefined,
    { unchecked = false, patience = 10_000, ...options }: ActionOptions = {},
  ): Promise<ActionResult> {
    checkWhole('patience (milliseconds)', patience, 1, longestTime)
    const path = linkPath(name)
    const { mapi, system } = this
    const { signal } = options
    const call: MapiCallOptions = { ...options, roles: changers }
    const read = (deadline?: number): Promise<Link> =>
      this.link(name, { ...(deadline === undefined ? options : { deadline, ...(signal && { signal }) }) })
    const place = { mapi, system, path, name, options: call, read, patience }
    return actOn(place, action, { expected, unchecked }, (run) => this.#log(action, name, undefined, run))
  }

  async #tenant(
    method: string,
    action: string,
    name: string,
    tenant: string,
    options?: CallOptions,
  ): Promise<void> {
    const path = linkPath(name, 'content', 'tenants', tenant)
    await this.#log(method, name, tenant, () =>
      this.mapi.act(path, action, '', { ...options, roles: changers }),
    )
  }

  #log<Result extends { readonly settled?: boolean } | void>(
    action: string,
    link: string | undefined,
    subject: string | undefined,
    run: () => Promise<Result>,
  ): Promise<Result> {
    return logged(this.#onAction, { action, system: this.system, link, subject }, run)
  }
}

function checkKind(kind: unknown): ContentKind {
  if (!kinds.has(kind)) throw new RangeError(`The kind must be one of ${[...kinds].join(', ')}`)
  return kind as ContentKind
}
