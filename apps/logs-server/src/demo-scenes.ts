import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { HttpSink, OperationRecorder } from '@hcp/logs-api/operations'
import { executeFailover, planFailover, ReplicationClient } from '@hcp/mapi-replication'
import { project, type Stage, system } from './demo-stage.ts'

export const dataset = 'hcp1finance'
export const task = 't0007'
/** Milliseconds. */
const interval = 100
const patience = 30_000

/** A task fails, and leaves its logs: one of them so long that it goes to HCP. */
export async function failingTask({ client, hcp, checks, say }: Stage): Promise<void> {
  say(`\nA task fails: ${task} of the dataset ${dataset}`)
  const place = { dataset_id: dataset, task_id: task }
  const stdout = Array.from(
    { length: 22_000 },
    (_, at) => `copied object ${at} of 22000 to finance/2026/${at}.pdf\n`,
  )
  const long = stdout.join('')
  await client.entries.add({ ...place, name: 'stderr', data: 'first try: connection reset\n' })
  await client.entries.add({ ...place, name: 'stdlog', data: 'reset: second try\n' })
  const longId = await client.entries.add({ ...place, name: 'stdout', data: long })
  const stderr = 'finance/2026/21999.pdf: 413 quota exceeded\ndisk quota reached\n'
  await client.entries.add({ ...place, name: 'stderr', data: stderr, severity: 'error' })
  const reason = 'task failed with exit code 1: disk quota reached\n'
  await client.entries.add({ ...place, name: 'stdlog', data: reason, severity: 'error' })

  const groups = await client.entries.taskLogs(dataset, task, { group: true })
  for (const { name, timestamp, data } of groups) {
    say(`  ${name}  ${timestamp}  ${data?.length} characters`)
    for (const line of data?.trimEnd().split('\n').slice(-2) ?? []) say(`    | ${line}`)
  }
  checks.that(
    'grouped logs are the newest of each name, the newest first',
    groups.map(({ name }) => name).join() === 'stdlog,stderr,stdout',
  )
  checks.that('the reason is what was written', groups[0]?.data === reason && groups[1]?.data === stderr)
  checks.that(`a text of ${long.length} characters comes back whole`, groups[2]?.data === long)
  const object = hcp.requests().find(({ method, path }) => method === 'PUT' && path.endsWith(`/${longId}`))
  checks.that(
    `its text is an object on HCP, ${object?.path ?? 'which was not written'}`,
    object?.found === 201,
  )
  const found = await Array.fromAsync(client.search({ dataset, q: '"quota reached"', minSeverity: 'error' }))
  checks.that('search finds the two entries that tell of the quota', found.length === 2)
}

/** A system is lost and comes back; who failed the link over, and back, is written down. */
export async function failover(stage: Stage): Promise<void> {
  const { client, hcp, checks, say, folder, url, token, signal } = stage
  const { link, replica } = hcp.ready
  if (link === undefined || replica === null) throw new Error('there is no second system with a link')
  say(`\nThe link ${link} is failed over, and back`)
  await using sink = new HttpSink({ url, token })
  let linkId: string | undefined
  await using recorder = await OperationRecorder.open({
    sink,
    folder: join(folder, 'recorder'),
    actor: 'olga',
    describe: () => ({ plan_id: linkId }),
  })
  using firstTarget = managementOf(stage, 'primary')
  using secondTarget = managementOf(stage, 'replica')
  await using failed = new ReplicationClient(firstTarget, { retry: false, onAction: recorder.onAction })
  await using survivor = new ReplicationClient(secondTarget, { onAction: recorder.onAction })
  linkId = (await survivor.link(link)).id
  const run = async (): Promise<void> => {
    const plan = await planFailover({ survivor, failed, link, signal })
    const options = { survivor, failed, interval, deadline: patience, signal, confirm: () => true }
    for await (const { kind, step } of executeFailover(plan, options)) {
      if (kind === 'done' && step.kind === 'action') say(`  ${step.title}: done`)
    }
  }
  await hcp.stopCluster('primary')
  say(`  ${hcp.domain} is stopped`)
  await run()
  await hcp.startCluster('primary')
  say(`  ${hcp.domain} is started`)
  await run()

  const operations = await Array.fromAsync(client.operations.search({ project: 'system', order: 'asc' }))
  for (const { operation_type, status, started_at, ended_at, extra_info } of operations)
    say(`  ${operation_type}  ${status}  ${started_at} to ${ended_at}  ${extra_info}`)
  for (const type of ['failover', 'failback']) {
    const logs = operations.filter(({ operation_type }) => operation_type === type)
    checks.that(
      `the ${type} has an operation log that says success, who did it, and on which link`,
      logs.length === 1 && logs[0]?.status === 'success' && said(logs[0].extra_info, link),
    )
  }
}

function said(extraInfo: string | null, link: string): boolean {
  const { actor, link: on } = JSON.parse(extraInfo ?? '{}') as { actor?: string; link?: string }
  return actor === 'olga' && on === link
}

/** HCP's own logs, through the service, as one archive. */
export async function exportLogs({ client, folder, checks, say }: Stage): Promise<void> {
  say(`\nThe access logs of ${system} are exported`)
  const started = await client.exports.start(project, system, { content: ['ACCESS'] })
  const seen: number[] = []
  const done = await client.exports.waitFor(started, {
    interval: 250,
    deadline: 2 * patience,
    onProgress: ({ progress }) => void (progress !== seen.at(-1) && seen.push(progress)),
  })
  say(`  ${seen.map((progress) => `${progress} %`).join(', ')}`)
  checks.that(
    'the export is completed, and its percentage never fell',
    seen.every((now, at) => now >= (seen[at - 1] ?? 0)),
  )
  const { file, size } = await client.exports.downloadTo(done, folder)
  const names = filesIn(gunzipSync(await readFile(file)))
  say(`  ${file}: ${size} bytes, ${names.length} files, such as ${names[0]}`)
  checks.that('the archive is a tar.gz with files in it', names.length > 0)
  const [log] = await Array.fromAsync(client.operations.search({ operationType: 'log_export' }))
  checks.that(
    'the export has an operation log that says success',
    log?.status === 'success' && log.scheduled_operation_id === done.exportId,
  )
  const progress = await client.entries.find({ dataset: system, task: done.exportId })
  for (const { timestamp, data } of progress) say(`    | ${timestamp}  ${data?.trimEnd()}`)
  checks.that('its progress is told in entries', progress.length > 0)
}

/** Names of the files in a tar (POSIX.1-1988): a head of 512 bytes each, and content in blocks of that size. */
function filesIn(tar: Buffer): string[] {
  const names: string[] = []
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const field = (from: number, length: number): string =>
      tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '')
    if (field(156, 1) === '0') names.push(field(0, 100))
    at += 512 + Math.ceil(Number.parseInt(field(124, 12), 8) / 512) * 512
  }
  return names
}

/** The management interface of one of the two systems. */
function managementOf({ hcp }: Stage, which: 'primary' | 'replica'): Target {
  const { domain, nodes, ports } = which === 'primary' ? hcp.ready : hcp.ready.replica!
  return new Target(`admin.${domain}`, {
    authorization: new NativeAuthorization('sysadmin', 's01'),
    port: ports.mapi,
    tls: { ca: hcp.ca },
    // Not by name: after a DNS failover the other system answers to this one's names.
    addresses: [...new Set(nodes)],
  })
}
