import type { NewEntry } from '../entries/entry.ts'
import { newEntry } from '../entries/new-entry.ts'
import { Refusal } from '../http/refusal.ts'
import type { OtlpRecord, OtlpResource, OtlpScope } from './otlp.ts'

/** An entry of each log record, in their order, or why there is none. */
export function* otlpEntries(
  resources: readonly OtlpResource[],
  entryId: (index: number) => NewEntry['id'],
): Generator<NewEntry | Refusal> {
  let index = 0
  for (const resource of resources) {
    for (const scope of resource.scopes) {
      for (const record of scope.records) {
        try {
          yield otlpEntry(resource, scope, record, entryId(index))
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          yield error
        }
        index++
      }
    }
  }
}

function otlpEntry(
  { attributes: resource }: OtlpResource,
  scope: OtlpScope,
  record: OtlpRecord,
  id: NewEntry['id'],
): NewEntry {
  const { body, attributes, severityNumber } = record
  const sent = {
    dataset_id: first(resource['hcp.dataset_id'], resource['service.name']),
    task_id: first(resource['hcp.task_id'], resource['service.instance.id']),
    name: first(attributes['log.iostream'], scope.name),
    data: typeof body === 'string' ? body : body === null ? '' : JSON.stringify(body),
    ...(severityNumber !== 0 && { severity: severityNumber }),
    ...(record.severityText !== '' && { severity_text: record.severityText }),
    ...(record.traceId !== '' && { trace_id: record.traceId }),
    ...(record.spanId !== '' && { span_id: record.spanId }),
    ...(record.flags !== 0 && { flags: record.flags }),
    ...(record.eventName !== '' && { event_name: record.eventName }),
    ...(!isEmpty(attributes) && { attributes }),
    ...(!isEmpty(resource) && { resource }),
    ...scopeField(scope),
  }
  const time = record.time || record.observedTime
  if (!Number.isSafeInteger(time))
    throw new Refusal(400, 'timeUnixNano is too far away: after the year 2255.')
  return { ...newEntry(sent, { own: true, id }), timestamp: time === 0 ? undefined : time }
}

/** Empty text stands for none. */
function first(...values: readonly unknown[]): unknown {
  return values.find((value) => value !== undefined && value !== null && value !== '')
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false
  return true
}

function scopeField({ name, version, attributes }: OtlpScope): { scope?: object } {
  if (name === '' && version === '' && isEmpty(attributes)) return {}
  return {
    scope: {
      ...(name !== '' && { name }),
      ...(version !== '' && { version }),
      ...(!isEmpty(attributes) && { attributes }),
    },
  }
}
