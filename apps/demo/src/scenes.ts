import { FileBody } from '@hcp/connection'
import {
  type Grant,
  type ObjectClient,
  retainUntil,
  retentionClass,
  type RetentionState,
  type StoredObject,
} from '@hcp/objects'
import { verify } from './verify.ts'
import type { KeptFile, Work } from './work.ts'

/** Tells what was tried, and how it ended. */
export type Tell = (what: string, outcome: string) => void

/** Without versioning nothing is overwritten (write once, read many); the same content again does no harm. */
export async function overwrite(kept: KeptFile, work: Work, tell: Tell): Promise<void> {
  const { objects, checks, signal } = work
  const { file, path } = kept
  const other = objects.put(path, 'something else', { signal })
  const what = `${file.name}: overwriting it`
  tell('other content under its name', await checks.refused(what, other, 'ObjectConflictError 409 different'))
  const again = await objects.put(path, new FileBody(file.path), { acceptIdentical: true, signal })
  checks.that(!again.created, `${file.name}: was stored twice`)
  tell('the same content once more', 'accepted; there already')
  await verify(kept, work)
}

/** What is under retention or on hold cannot be deleted, and retention cannot be shortened. */
export async function retain(work: Work, tell: Tell): Promise<void> {
  const { objects, checks, signal } = work
  const path = '/rest/contract.xml'
  const options = { signal }
  const refused = 'HcpResponseError 403'
  await objects.put(path, '<contract/>', { retention: retentionClass('tax'), signal })
  const { retention } = await objects.head(path, options)
  checks.that(retention.kind === 'until', `${path}: its retention is '${retention.kind}'`)
  tell("stored with the retention class 'tax'", inWords(retention))

  const attempt = async (what: string, operation: Promise<unknown>, error = refused): Promise<void> =>
    tell(what, await checks.refused(`${path}, ${what}`, operation, error))
  await attempt('deleting it', objects.delete(path, options))
  const soon = retainUntil(new Date(Date.now() + 86_400_000))
  await attempt(
    'shortening that',
    objects.changeMetadata(path, { retention: soon }, options),
    'HcpResponseError 400',
  )
  const privileged = { reason: 'the demonstration is over' }
  await objects.changeMetadata(path, { hold: true }, options)
  await attempt('put on hold; deleting it, privileged', objects.delete(path, { privileged, signal }))
  await objects.changeMetadata(path, { hold: false }, options)
  await objects.delete(path, { privileged, signal })
  checks.that(!(await objects.exists(path, options)), `${path}: still there after its deletion`)
  tell('released; deleting it, privileged', 'deleted; HCP logs the reason')
}

/**
 * An access control list gives a user more than the namespace does, for one object.
 *
 * @param anna The same namespace, as a user who has no permissions there.
 */
export async function share(anna: ObjectClient, work: Work, tell: Tell): Promise<void> {
  const { objects, checks, signal } = work
  const path = '/rest/scan.png'
  const options = { signal }
  await objects.put(path, 'an image', options)
  await objects.putAnnotations(path, { patient: '<patient id="4711"/>', review: '<review/>' }, options)
  const names = (await objects.annotations(path, options)).map(({ name }) => name).toSorted()
  checks.that(names.join() === 'patient,review', `${path}: its annotations are ${names.join()}`)
  tell('stored, then annotated', names.join(', '))

  const refused = 'HcpResponseError 403'
  const read = async (): Promise<string> => (await anna.get(path, options)).text()
  tell('Anna reads it', await checks.refused('Anna reads without permission', read(), refused))
  const grant: Grant = { grantee: { type: 'user', name: 'anna' }, permissions: ['READ'] }
  await objects.putAcl(path, [grant], options)
  const text = await read()
  checks.that(text === 'an image', `${path}: Anna reads ${text}`)
  tell('its ACL grants her READ; she reads it', `“${text}”`)
  const deletion = anna.delete(path, options)
  tell('Anna deletes it', await checks.refused('Anna deletes without permission', deletion, refused))
  await objects.delete(path, options)
}

/** With versioning names can be stored again, and old versions stay. `work` is in such a namespace. */
export async function version({ objects, checks, signal }: Work, tell: Tell): Promise<void> {
  const path = '/rest/plan.txt'
  const options = { signal }
  const stored: StoredObject[] = []
  for (const content of ['first', 'second', 'third']) {
    // Only over the version that we know.
    const etag = stored.at(-1)?.etag
    stored.push(
      await objects.put(path, content, { ...(etag === undefined ? {} : { ifMatch: etag }), signal }),
    )
  }
  const etag = stored[0]?.etag ?? ''
  const stale = objects.put(path, 'from elsewhere', { ifMatch: etag, signal })
  const what = `a fourth over the first one's ETag`
  tell(what, await checks.refused(what, stale, 'ObjectConditionError 412'))

  await objects.delete(path, options)
  const versions = await Array.fromAsync(objects.versions(path, { deleted: true, signal }))
  const list = versions.map(({ deleted, size }) => (deleted ? 'deleted' : `${size} B`)).join(', ')
  checks.that(list === '5 B, 6 B, 5 B, deleted', `${path}: its versions are ${list}`)
  tell('three versions stored, then deleted; listed', list)

  const [first] = stored
  if (first?.versionId === undefined) throw new Error(`${path}: has no versions`)
  await objects.copy({ path, version: first.versionId }, path, options)
  const text = await (await objects.get(path, options)).text()
  checks.that(text === 'first', `${path}: restored as ${text}`)
  tell('the first one copied back; read', `“${text}”`)
  await objects.delete(path, { purge: true, signal })
  tell(
    'purged; listed',
    await checks.refused(
      `${path} was purged`,
      objects.versions(path, options).next(),
      'ObjectNotFoundError 404',
    ),
  )
}

function inWords(retention: RetentionState): string {
  return retention.kind === 'until'
    ? `kept until ${retention.until.toISOString().slice(0, 10)}`
    : retention.kind
}
