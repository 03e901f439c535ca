import { HcpProtocolError, type HcpResponse } from '@hcp/connection'
import { factsOf } from './errors.ts'

/** The error that a document is which does not say what HCP's does. @param what Without the answer's name, for example `has no end`. */
export function protocolError(response: HcpResponse, what: string, cause?: unknown): HcpProtocolError {
  const { method, url } = response
  return new HcpProtocolError(`${method} ${url}: the document of the answer ${what}`, {
    ...factsOf(response),
    cause,
  })
}
