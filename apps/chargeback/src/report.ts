import {
  type ChargebackOptions,
  type ChargebackRecord,
  listTenants,
  MapiError,
  type MapiClient,
  Tenant,
} from '@hcp/mapi'
import { heading, row } from './table.ts'

export interface ReportChoice extends Pick<ChargebackOptions, 'start' | 'end' | 'granularity' | 'signal'> {
  /** Only these. Default: all tenants of the system. */
  readonly tenants: readonly string[]
}

/**
 * Prints what the tenants used, line by line as HCP tells it: of each namespace that the account may see, and of each tenant.
 *
 * @returns How many tenants could not be reported.
 */
export async function printReport(
  mapi: MapiClient,
  { tenants, ...options }: ReportChoice,
  print: (line: string) => void,
): Promise<number> {
  const { signal } = options
  let failed = 0
  print(heading())
  for await (const name of tenants.length > 0
    ? tenants
    : listTenants(mapi, signal === undefined ? {} : { signal })) {
    try {
      let lines = 0
      for await (const record of new Tenant(mapi, name).chargeback(options)) {
        // Hours and days in which there was nothing would bury the others.
        if (isIdle(record)) continue
        print(row(record, options.granularity))
        lines++
      }
      if (lines === 0) print(`${name}: nothing was used`)
    } catch (error) {
      // One that is deleted meanwhile, or may not be seen, does not spoil the others. The default tenant has no report.
      if (!(error instanceof MapiError)) throw error
      failed++
      print(`${name}: ${error.message}`)
    }
  }
  return failed
}

const isIdle = ({ objectCount, bytesIn, bytesOut, reads, writes, deletes }: ChargebackRecord): boolean =>
  [objectCount, bytesIn, bytesOut, reads, writes, deletes].every((each) => Number(each) === 0)
