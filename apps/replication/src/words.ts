import {
  type FailoverPlan,
  type FailoverStep,
  type Link,
  type LinkEvent,
  linkState,
  type OtherView,
} from '@hcp/mapi-replication'

/** A link in some lines. */
export function linkLines(link: Link): string[] {
  const { name, type, status, statusMessage, statistics, connection } = link
  const { objectsPending, objectsPendingRemote, bytesPending, upToDateAsOfMillis } = statistics ?? {}
  return [
    `${name}  ${type}  ${status}: ${statusMessage} (${linkState(link)})`,
    ...(connection?.remoteHost === undefined ? [] : [`  to ${connection.remoteHost.join(', ')}`]),
    ...(statistics === undefined
      ? []
      : [
          `  pending: ${objectsPending ?? '?'} objects (${bytesPending ?? '?'} bytes) out, ${objectsPendingRemote ?? '?'} in`,
          `  up to date as of ${upToDateAsOfMillis?.toISOString() ?? 'nobody knows when'}`,
        ]),
  ]
}

/** What the other system says of a link. */
export const otherLine = ({ link, state, error }: OtherView): string =>
  link === undefined ? `${state} (${error?.message ?? 'no reason'})` : `${link.status}: ${link.statusMessage}`

/** What a watch tells, in a line. */
export function eventLine(event: LinkEvent): string {
  const time = event.at.toISOString()
  if (event.kind === 'unreachable') return `${time}  cannot be read: ${event.error.message}`
  if (event.kind === 'state') return `${time}  ${event.link.status}: ${event.link.statusMessage}`
  const { transition, changes } = event
  const moved = transition === undefined ? '' : `${transition.from} -> ${transition.to}  `
  const list = changes.map(({ path, before, after }) => `${path} ${shown(before)} -> ${shown(after)}`)
  return `${time}  ${moved}${list.join(', ')}`
}

const shown = (value: unknown): string =>
  value instanceof Date ? value.toISOString() : Array.isArray(value) ? value.join(' ') : String(value)

export function planLines({ link, steps, warnings, state, survivor }: FailoverPlan): string[] {
  return [
    `Plan for ${link}, which ${survivor} says is ${state}:`,
    ...(steps.length === 0
      ? ['  nothing to do']
      : steps.map((step, index) => `  ${index + 1}. ${stepLine(step)}`)),
    ...warnings.map((warning) => `  ! ${warning}`),
  ]
}

export const stepLine = ({ title, consequence }: FailoverStep): string =>
  consequence === '' ? title : `${title}. ${consequence}`
