import {
  executeFailover,
  type FailoverGoal,
  type FailoverStep,
  planFailover,
  type ReplicationClient,
  viewLink,
} from '@hcp/mapi-replication'
import type { Systems } from './systems.ts'
import { eventLine, linkLines, otherLine, planLines, stepLine } from './words.ts'

/** What all commands need. */
export interface Stage {
  readonly systems: Systems
  readonly print: (line: string) => void
  /** Asks the user. */
  readonly ask: (question: string) => Promise<boolean>
  readonly signal: AbortSignal
  /** Milliseconds between two looks. */
  readonly interval: number
}

/** Shows the links of the system, and what the other one says of them. */
export async function showLinks({ systems, print, signal }: Stage): Promise<void> {
  const { survivor, failed } = systems
  const names = await survivor.links({ signal })
  print(`${survivor.system} has ${names.length === 1 ? 'one link' : `${names.length} links`}.`)
  for (const name of names) {
    const view = await viewLink(survivor, failed, name, signal)
    for (const line of linkLines(view.survivor.link)) print(line)
    if (view.failed !== undefined) print(`  ${view.failed.system} says: ${otherLine(view.failed)}`)
  }
}

/** Tells the changes of a link until the signal, or so many of them. */
export async function watch(stage: Stage, given: string | undefined, items: number): Promise<void> {
  const { systems, print, signal, interval } = stage
  const name = given ?? (await onlyLink(systems.survivor, signal))
  print(`Watching ${name}; Ctrl-C ends it.`)
  let count = 0
  for await (const event of systems.survivor.watch(name, { interval, signal })) {
    print(eventLine(event))
    if (++count === items) break
  }
}

export interface FailoverChoice {
  readonly link: string | undefined
  readonly goal: FailoverGoal | undefined
  readonly force: boolean
}

/**
 * Leads through a failover: shows the plan, and asks before each step that changes something. Emulated systems go all the way, with the
 * other one switched off and on.
 *
 * @returns Whether all steps were taken.
 */
export async function failover(stage: Stage, { link, goal, force }: FailoverChoice): Promise<boolean> {
  const { systems, print, signal } = stage
  const name = link ?? (await onlyLink(systems.survivor, signal))
  const { power } = systems
  if (power === undefined || goal !== undefined) return lead(stage, name, goal, force)
  print(`${systems.failed?.system} is switched off.`)
  await power(false)
  if (!(await lead(stage, name, 'failOver', force))) return false
  print(`${systems.failed?.system} is switched on again.`)
  await power(true)
  return lead(stage, name, 'return', force)
}

async function lead(
  { systems, print, ask, signal, interval }: Stage,
  link: string,
  goal: FailoverGoal | undefined,
  force: boolean,
): Promise<boolean> {
  const { survivor, failed } = systems
  const parties = failed === undefined ? { survivor } : { survivor, failed }
  const plan = await planFailover({ ...parties, link, force, signal, ...(goal && { goal }) })
  for (const line of planLines(plan)) print(line)
  const confirm = (step: FailoverStep): Promise<boolean> => ask(`${stepLine(step)} Do it?`)
  const onProgress = ({
    step,
    state,
  }: {
    readonly step: FailoverStep
    readonly state: string | undefined
  }): void => print(`  ${step.title}: ${state ?? 'not seen yet'}`)
  for await (const event of executeFailover(plan, { ...parties, confirm, interval, signal, onProgress })) {
    if (event.kind === 'declined') {
      print(`Stopped before: ${event.step.title}. Nothing of it was done; run this again to go on.`)
      return false
    }
    if (event.kind === 'done') {
      const { status, statusMessage } = event.link
      print(
        `  ${event.already ? 'was done already' : 'done'}: ${event.step.title} (${status}: ${statusMessage})`,
      )
    }
  }
  print(`The link ${link} is where the plan leads.`)
  return true
}

async function onlyLink(replication: ReplicationClient, signal: AbortSignal): Promise<string> {
  const names = await replication.links({ signal })
  const [name] = names
  if (name !== undefined && names.length === 1) return name
  throw new Error(`${replication.system} has ${names.length} links (${names.join(', ')}): name one`)
}
