import { type Logger, pino } from 'pino'

const hidden = ['password', 'token', 'secret', 'authorization', 'x-auth-token', 'cookie']
/** A JSON Web Token, wherever it stands. */
const token = /\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g
/** The password in a URL. */
const inUrl = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s@/]+@/gi

/**
 * Lines of JSON on standard error. What is secret is not in them: not under the names of such fields, not where one of `secrets`, a token or
 * the password of a URL stands in a text.
 *
 * @param write Default: standard error.
 */
export function createLog(
  secrets: readonly string[],
  write: (line: string) => void = (line) => void process.stderr.write(line),
): Logger {
  const clean = cleaner(secrets)
  return pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => write(`${JSON.stringify(withoutSecrets(JSON.parse(line), clean))}\n`) },
  )
}

/** Takes secrets out of a text. */
export function cleaner(secrets: readonly string[]): (text: string) => string {
  // The longest first: one may be a part of another.
  const all = secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
    .toSorted((one, other) => other.length - one.length)
  return (text) =>
    all
      .reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
      .replace(token, '***')
      .replace(inUrl, '$1***@')
}

function withoutSecrets(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === 'string') return clean(value)
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, clean))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      hidden.includes(name.toLowerCase()) ? '***' : withoutSecrets(inner, clean),
    ]),
  )
}
