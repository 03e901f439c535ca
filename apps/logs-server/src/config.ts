import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { UsageError } from './usage.ts'

/** How to reach an HCP system. */
export interface HcpAccess {
  readonly fqdn: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly caFile?: string | undefined
  readonly nameservers?: readonly string[] | undefined
}

/** The configuration, its defaults filled in: every path in it is absolute. */
export interface Config {
  readonly database: string
  readonly auth: {
    readonly issuer: string
    readonly audience?: string | undefined
    readonly secret?: string | undefined
    readonly jwksUrl?: string | undefined
  }
  readonly roles?:
    | {
        readonly admin?: readonly string[] | undefined
        readonly system?: readonly string[] | undefined
        readonly user?: readonly string[] | undefined
      }
    | undefined
  readonly bodies?:
    | (HcpAccess & { readonly path?: string | undefined; readonly threshold?: number | undefined })
    | null
    | undefined
  readonly systems: readonly (HcpAccess & {
    readonly id: string
    readonly serial: string
    readonly project: string
  })[]
  readonly exports: { readonly directory: string; readonly expiryDays?: number | undefined }
  readonly retention?: { readonly intervalSeconds?: number | undefined } | undefined
  readonly linkBase?: string | null | undefined
  readonly trustProxy?: readonly string[] | undefined
  readonly metricsPort: number
  readonly maxPage?: number | undefined
  readonly rateLimit?: { readonly max: number; readonly windowSeconds: number } | null | undefined
}

const text = z.string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be a text') })
const filled = text.min(1, { error: 'must not be empty' })

const whole = (least: number, most: number): z.ZodInt => {
  const error = `must be a whole number from ${least} to ${most}`
  return z.int({ error }).min(least, { error }).max(most, { error })
}

const list = <Item extends z.ZodType>(item: Item): z.ZodArray<Item> =>
  z.array(item, { error: 'must be a list' })

/** An object without any fields but these. */
const strict = <Shape extends z.core.$ZodLooseShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> =>
  z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys')
        return `has a field that is not known: ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
      return issue.input === undefined ? 'is missing' : 'must be a JSON object'
    },
  })

/** `address` or `address:port`. */
const nameserver = text.refine(isNameserver, {
  error: 'must be an address and a port, such as 127.0.0.1:5353',
})

const url = (protocols: RegExp, error: string): z.ZodString =>
  text.refine(
    (value) => {
      const parsed = URL.parse(value)
      return parsed !== null && protocols.test(parsed.protocol)
    },
    { error },
  )

export const databaseSchema: z.ZodString = text.refine(
  (value) => /^sqlite:./.test(value) || (/^postgres(ql)?:\/\//.test(value) && URL.canParse(value)),
  { error: 'must be sqlite:FILE or postgres://user:password@host:port/name' },
)

const hcp = {
  fqdn: filled,
  user: filled,
  password: filled,
  caFile: filled.optional(),
  nameservers: list(nameserver).min(1, { error: 'must not be empty' }).optional(),
}

const auth = strict({
  issuer: filled,
  audience: filled.optional(),
  secret: filled.optional(),
  jwksUrl: url(/^https?:$/, 'must be an http or https URL').optional(),
}).refine(({ secret, jwksUrl }) => (secret === undefined) !== (jwksUrl === undefined), {
  error: 'must have either secret or jwksUrl',
})

const role = list(filled).optional()

const schema: z.ZodType<Config> = strict({
  database: databaseSchema,
  auth,
  roles: strict({ admin: role, system: role, user: role }).optional(),
  bodies: strict({
    ...hcp,
    port: whole(1, 65_535).default(443),
    path: text.refine((path) => path.startsWith('/rest/'), { error: 'must begin with /rest/' }).optional(),
    threshold: whole(1, 1_000_000_000).optional(),
  })
    .nullable()
    .optional(),
  systems: list(
    strict({
      ...hcp,
      id: filled.regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]+$/, {
        error: 'must be letters, digits, ".", "_" or "-"',
      }),
      serial: filled.regex(/^[A-Za-z0-9._-]+$/, { error: 'must be letters, digits, ".", "_" or "-"' }),
      project: filled,
      port: whole(1, 65_535).default(9090),
    }),
  )
    .refine((systems) => new Set(systems.map(({ id }) => id)).size === systems.length, {
      error: 'must not have two systems of one id',
    })
    .default([]),
  exports: strict({
    directory: filled.default('./exports'),
    expiryDays: whole(1, 36_500).optional(),
  }).default({
    directory: './exports',
  }),
  retention: strict({ intervalSeconds: whole(1, 31_536_000).optional() }).optional(),
  linkBase: url(/^https?:$/, 'must be an http or https URL')
    .nullable()
    .optional(),
  trustProxy: list(
    filled.refine(isProxy, {
      error: 'must be an address, a network such as 10.0.0.0/8, or loopback, linklocal or uniquelocal',
    }),
  ).optional(),
  metricsPort: whole(0, 65_535).default(0),
  maxPage: whole(1, 1_000_000).optional(),
  rateLimit: strict({ max: whole(1, 1_000_000_000), windowSeconds: whole(1, 86_400) })
    .nullable()
    .optional(),
})

/**
 * Reads a configuration.
 *
 * @param database Of the command line, for the one in the file.
 * @throws {UsageError} It cannot be read, or a field is wrong: the message names it, and never shows a value.
 */
export async function readConfig(file: string, database?: string): Promise<Config> {
  const found = await content(file)
  if (database !== undefined && !databaseSchema.safeParse(database).success)
    throw new UsageError('--database must be sqlite:FILE or postgres://user:password@host:port/name.')
  const given = database !== undefined && isObject(found) ? { ...found, database } : found
  const { success, data, error } = schema.safeParse(given)
  if (!success)
    throw new UsageError(`${file}:\n${error.issues.map((issue) => `  ${problem(issue)}`).join('\n')}`)
  return absolute(data, dirname(resolve(file)), database)
}

async function content(file: string): Promise<unknown> {
  let read: string
  try {
    read = await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`The configuration cannot be read: ${(error as Error).message}.`)
  }
  try {
    // Some editors put a mark of the byte order in front.
    return JSON.parse(read.replace(/^\uFEFF/, '')) as unknown
  } catch (error) {
    // Its message quotes the file, which has passwords in it.
    const where = /position \d+( \(line \d+ column \d+\))?/.exec((error as Error).message)?.[0]
    throw new UsageError(`${file} is not JSON${where === undefined ? '' : `: look at ${where}`}.`)
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function problem({ path, message }: z.core.$ZodIssue): string {
  const name = path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`))
    .join('')
  return `${name === '' ? 'the configuration' : name} ${message}.`
}

/** @param given Of the command line: relative to where the program was started, as a shell completes it. */
function absolute(config: Config, folder: string, given: string | undefined): Config {
  const file = (path: string): string => resolve(folder, path)
  const withCa = <Options extends { caFile?: string | undefined }>(options: Options): Options =>
    options.caFile === undefined ? options : { ...options, caFile: file(options.caFile) }
  const { database, bodies, systems, exports } = config
  return {
    ...config,
    database: absoluteDatabase(given ?? database, given === undefined ? folder : process.cwd()),
    ...(bodies === undefined || bodies === null ? {} : { bodies: withCa(bodies) }),
    systems: systems.map(withCa),
    exports: { ...exports, directory: file(exports.directory) },
  }
}

function absoluteDatabase(database: string, folder: string): string {
  const path = /^sqlite:(.+)$/s.exec(database)?.[1]
  return path === undefined || path === ':memory:' ? database : `sqlite:${resolve(folder, path)}`
}

function isNameserver(value: string): boolean {
  if (isIP(value) !== 0) return true
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? []
  return isIP(bracketed ?? plain ?? '') !== 0 && Number(port) >= 1 && Number(port) <= 65_535
}

const proxyNames: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal'])

/** What Fastify takes as `trustProxy`. */
function isProxy(value: string): boolean {
  const [address = '', bits, ...more] = value.split('/')
  if (bits === undefined && proxyNames.has(value)) return true
  const most = isIP(address) === 6 ? 128 : 32
  const network = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= most)
  return isIP(address) !== 0 && network && more.length === 0
}

/** All that must appear nowhere. */
export function secretsOf({ auth, database, bodies, systems }: Config): string[] {
  const url = URL.parse(database)
  const password = url?.password ?? ''
  return [
    auth.secret,
    bodies?.password,
    ...systems.map((system) => system.password),
    password,
    decoded(password),
    url?.searchParams.get('password') ?? '',
  ].filter((secret) => secret !== undefined && secret !== '') as string[]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
