import { dayLength } from '../logs/log-package.ts'
import type { LogDownload, LogRequest } from '../logs/log-service.ts'
import { logTypes } from '../logs/log-types.ts'
import type { LogType } from '../logs/log-types.ts'
import { Refusal } from '../refusal.ts'
import type { MapiAnswer, MapiExchange, Operation, Resource } from './resource.ts'

type Fields = Readonly<Record<string, unknown>>

const allowed: Operation['allowed'] = { system: ['ADMINISTRATOR', 'SERVICE'] }

/** `/mapi/logs` and what is below it: one job per system makes packages of its logs. */
export const logResources: readonly Resource[] = [
  {
    path: '/logs',
    operations: {
      GET: {
        allowed: { system: ['MONITOR', 'ADMINISTRATOR', 'SERVICE'] },
        handle: ({ system }) => ({
          document: { root: 'logDownloadStatus', value: { ...system.logs.status() } },
        }),
      },
      POST: { allowed, handle: act },
    },
  },
  { path: '/logs/prepare', operations: { POST: { allowed, handle: prepare } } },
  { path: '/logs/download', operations: { POST: { allowed, handle: download } } },
]

function act({ system, query, account }: MapiExchange): MapiAnswer {
  const text = query.get('mark')
  const cancels = query.has('cancel')
  if (cancels === (text !== undefined))
    throw new Refusal(400, "One of the parameters 'cancel' and 'mark' is required.")
  if (cancels) system.logs.cancel()
  else if (text!.trim() === '') throw new Refusal(400, "The parameter 'mark' is empty.")
  else system.logs.mark(account.user, text!)
  return {}
}

/** The documents show one name of the root and use another. */
async function prepare(exchange: MapiExchange): Promise<MapiAnswer> {
  const fields = await exchange.document('logPrepare', 'logDownloadPrepare')
  onlyFields(fields, ['startDate', 'endDate', 'snodes'])
  const firstDay = dayOf(fields, 'startDate')
  const lastDay = dayOf(fields, 'endDate')
  const request: LogRequest = {
    ...(firstDay === undefined ? {} : { firstDay }),
    ...(lastDay === undefined ? {} : { lastDay }),
    sNodes: names(fields, 'snodes') ?? [],
  }
  exchange.system.logs.prepare(request)
  return {}
}

async function download(exchange: MapiExchange): Promise<MapiAnswer> {
  const fields = await exchange.document('logDownload')
  onlyFields(fields, ['nodes', 'snodes', 'content'])
  const nodes = names(fields, 'nodes')?.map((name) => {
    if (!/^\d{1,3}$/.test(name))
      throw new Refusal(400, `The parameter 'nodes' names ${name}, which is no node.`)
    return Number(name)
  })
  const sNodes = names(fields, 'snodes')
  const content = names(fields, 'content')?.map(logType)
  const wanted: LogDownload = {
    ...(nodes === undefined ? {} : { nodes }),
    ...(sNodes === undefined ? {} : { sNodes }),
    ...(content === undefined ? {} : { content }),
  }
  const { fileName, body } = exchange.system.logs.download(wanted)
  return {
    // The name is without quotes, as the documents show it; it has no length, and no part of it can be asked for.
    headers: ['Content-Disposition', `attachment; filename=${fileName}`, 'Accept-Ranges', 'none'],
    content: { type: 'application/zip', body },
  }
}

function onlyFields(fields: Fields, known: readonly string[]): void {
  const stranger = Object.keys(fields).find((name) => !known.includes(name))
  if (stranger !== undefined) throw new Refusal(400, `The property '${stranger}' is not known.`)
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' || typeof value === 'number') return String(value).trim()
  throw new Refusal(400, `The parameter '${name}' has a bad value.`)
}

/** A list with commas; an empty one is there but has nothing. */
function names(fields: Fields, name: string): readonly string[] | undefined {
  const text = textOf(fields, name)
  if (text === undefined || text === '') return text === undefined ? undefined : []
  const list = text.split(',').map((part) => part.trim())
  if (!list.every((part) => /^\w[\w.-]{0,62}$/.test(part)))
    throw new Refusal(400, `The parameter '${name}' has a bad value.`)
  return [...new Set(list)]
}

function logType(name: string): LogType {
  const type = logTypes.find((each) => each === name.toUpperCase())
  if (type === undefined)
    throw new Refusal(400, `The parameter 'content' names ${name}, which is no type of logs.`)
  return type
}

/** Days since 1970 of `MM/DD/YYYY`. */
function dayOf(fields: Fields, name: string): number | undefined {
  const text = textOf(fields, name)
  if (text === undefined) return undefined
  const [, month, day, year] = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(text) ?? []
  const time = Date.parse(`${year}-${month}-${day}T00:00:00Z`)
  // A 31st of a month of 30 days is taken for the 1st of the next.
  if (Number.isNaN(time) || new Date(time).getUTCDate() !== Number(day))
    throw new Refusal(400, `The parameter '${name}' is no date of the form MM/DD/YYYY.`)
  return time / dayLength
}
