import { logTypes, type LogType } from '@hcp/mapi-logs'
import { z } from 'zod'
import { Refusal } from '../http/refusal.ts'
import { formatTime, parseTime } from '../time.ts'
import type { ExportRequest } from './export-task.ts'

const day = 86_400_000_000
const defaultDays = 7
const mostNodes = 1_000

const nodesError = 'nodes must be a list of whole numbers, such as [101, 102]'
const snodesError = 'snodes must be a list of numbers or names of S Series nodes'
const kinds = logTypes.L_ALL.join(', ')
// oxlint-disable-next-line no-control-regex -- those are what is refused
const unusable = /[\u0000-\u001F\u007F,]/

function date(name: string): z.ZodOptional<z.ZodString> {
  const error = `${name} must be a day from 1970 on, such as 2026-11-20`
  return z
    .string({ error })
    .refine((text) => dayOf(text) !== undefined, { error })
    .optional()
}

/** What a request may say; all of it may be missing. */
export interface ExportBody {
  readonly start_date?: string | undefined
  readonly end_date?: string | undefined
  readonly content?: LogType[] | undefined
  readonly nodes?: number[] | undefined
  readonly snodes?: (number | string)[] | undefined
}

/** Body of the request that starts an export. */
export const exportBodySchema: z.ZodType<ExportBody | null | undefined, ExportBody | null | undefined> = z
  .strictObject(
    {
      start_date: date('start_date').describe('First day. Default: six days before the last one'),
      end_date: date('end_date').describe('Last day, included. Default: today'),
      content: z
        .array(z.enum(logTypes.L_ALL, { error: `content must be a list of ${kinds}` }), {
          error: `content must be a list of ${kinds}`,
        })
        .min(1, { error: 'content must name a kind of logs; leave it out for all kinds' })
        .optional()
        .describe('Kinds of logs. Default: all'),
      nodes: z
        .array(z.int(nodesError).min(1, nodesError).max(99_999, nodesError), nodesError)
        .max(mostNodes, { error: `nodes can name ${mostNodes} nodes at most` })
        .optional()
        .describe('General nodes by their numbers. Default: all; an empty list: none'),
      snodes: z
        .array(
          z.union(
            [
              z.int().min(0, snodesError),
              z
                .string()
                .trim()
                .min(1, snodesError)
                .max(255, snodesError)
                .refine((name) => !unusable.test(name), snodesError),
            ],
            snodesError,
          ),
          snodesError,
        )
        .max(mostNodes, { error: `snodes can name ${mostNodes} nodes at most` })
        .optional()
        .describe('S Series nodes. Default: none'),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? `there is no field ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; there are start_date, end_date, content, nodes and snodes`
          : 'the body must be a JSON object, or empty',
    },
  )
  .nullish()

/**
 * Fills in the defaults.
 *
 * @param now Microseconds since 1970.
 * @throws {Refusal} 400 for days in the wrong order or ahead, or if nothing is selected.
 */
export function exportRequest(body: ExportBody | null | undefined, now: number): ExportRequest {
  const { start_date, end_date, content, nodes, snodes = [] } = body ?? {}
  const today = Math.floor(now / day) * day
  const given = end_date === undefined ? undefined : dayOf(end_date)
  const first = start_date === undefined ? undefined : dayOf(start_date)
  const last = given ?? Math.max(today, Math.min(first ?? today, today + day))
  const start = first ?? last - (defaultDays - 1) * day
  // Somewhere it is tomorrow already.
  if (last > today + day) throw invalid('end_date must not lie in the future')
  if (start > last) throw invalid('start_date must not be after end_date')
  const names = [...new Set(snodes.map(String))]
  if (nodes?.length === 0 && names.length === 0)
    throw invalid('neither nodes nor snodes are selected; leave nodes out for all General nodes')
  return {
    start_date: dayText(start),
    end_date: dayText(last),
    content: content === undefined ? logTypes.L_ALL : [...new Set(content)],
    ...(nodes === undefined ? {} : { nodes: [...new Set(nodes)] }),
    snodes: names,
  }
}

export function invalid(message: string): Refusal {
  return new Refusal(400, message, { code: 'iMetal.0001' })
}

/** @returns Microseconds since 1970 of its beginning in UTC. */
export function dayOf(text: string): number | undefined {
  const parsed = parseTime(text)
  return parsed?.wholeDay === true && parsed.time >= 0 ? parsed.time : undefined
}

const dayText = (time: number): string => formatTime(time).slice(0, 10)
