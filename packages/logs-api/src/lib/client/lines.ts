import { LogsApiError } from './errors.ts'
import type { Answer } from './transport.ts'

const longestLine = 1024 * 1024

/** The documents of an answer of one JSON document a line. Leaving the loop early gives up the rest. */
export async function* jsonLines({ body, status, fault }: Answer): AsyncGenerator<unknown, void> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const chunk of chunksOf(body, fault)) {
      rest += decoder.decode(chunk, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line.trim() !== '') yield parsed(line, status)
      if (rest.length > longestLine)
        throw new LogsApiError('LOGS_API_PROTOCOL', 'A line of the answer is too long.', false, { status })
    }
    if (rest.trim() !== '') yield parsed(rest, status)
  } finally {
    body.destroy()
  }
}

/** The bytes of an answer; what breaks it is an error of this package. */
export async function* chunksOf(
  body: Answer['body'],
  fault: Answer['fault'],
): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) yield chunk
  } catch (cause) {
    throw fault(cause)
  }
}

function parsed(line: string, status: number): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch (cause) {
    throw new LogsApiError('LOGS_API_PROTOCOL', 'A line of the answer is not JSON.', false, { status, cause })
  }
}
