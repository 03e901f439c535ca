import { LogsApiError } from './errors.ts'
import { isRecord } from './refusal.ts'

/** A part of an answer that has to be there. */
export function part(what: string, answer: unknown, name: string): unknown {
  if (isRecord(answer) && answer[name] !== undefined) return answer[name]
  throw unexpected(what, `has no "${name}"`)
}

export function record(what: string, answer: unknown): Readonly<Record<string, unknown>> {
  if (isRecord(answer)) return answer
  throw unexpected(what, 'is no JSON object')
}

export function list(what: string, answer: unknown): readonly object[] {
  if (Array.isArray(answer) && answer.every(isRecord)) return answer
  throw unexpected(what, 'is no list of JSON objects')
}

export function text(what: string, answer: unknown): string {
  if (typeof answer === 'string' && answer !== '') return answer
  throw unexpected(what, 'is no text')
}

const unexpected = (what: string, why: string): LogsApiError =>
  new LogsApiError('LOGS_API_PROTOCOL', `The answer is not what was asked for: ${what} ${why}.`, false, {
    sent: true,
  })
