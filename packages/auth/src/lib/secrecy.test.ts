import { createHash } from 'node:crypto'
import { Console } from 'node:console'
import { PassThrough } from 'node:stream'
import { format, inspect } from 'node:util'
import { serialize } from 'node:v8'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ActiveDirectoryAuthorization,
  LocalSwiftAuthorization,
  NativeAuthorization,
  type Authorization,
  type Secret,
} from '../index.ts'

type Make = (user: Secret, password: Secret) => Authorization

const schemes: [string, Make][] = [
  ['NativeAuthorization', (user, password) => new NativeAuthorization(user, password, { cookie: true })],
  ['ActiveDirectoryAuthorization', (user, password) => new ActiveDirectoryAuthorization(user, password)],
  ['LocalSwiftAuthorization', (user, password) => new LocalSwiftAuthorization(user, password)],
]

/** Everything by which a value usually gets into a log. */
function printed(value: unknown): string {
  const out = new PassThrough()
  const console = new Console(out)
  console.log('request with', value, { nested: { value } })
  console.dir(value, { showHidden: true, depth: null })
  console.table([value])
  return [
    inspect(value),
    inspect(value, { showHidden: true, depth: null, getters: true, showProxy: true }),
    format('%s %o %O %j', value, value, value, value),
    JSON.stringify({ value }),
    String(value),
    inspect(structuredClone(value), { showHidden: true, depth: null }),
    serialize(structuredClone(value)).toString('latin1'),
    inspect(Object.entries(Object(value))),
    inspect(Reflect.ownKeys(Object(value))),
    inspect(Object.getOwnPropertyDescriptors(Object(value)), { depth: null }),
    value instanceof Error ? `${value.message} ${value.stack}` : '',
    (out.read() as Buffer).toString(),
  ].join('\n')
}

/** The forms in which a password would be usable, or could be guessed from. */
function leaks(password: string, text: string): string[] {
  const bytes = Buffer.from(password, 'utf8')
  const digest = createHash('md5').update(bytes)
  const forms = [
    password,
    JSON.stringify(password).slice(1, -1),
    bytes.toString('latin1'),
    bytes.toString('base64'),
    bytes.toString('hex'),
    encodeURIComponent(password),
    digest.copy().digest('hex'),
    digest.copy().digest('base64'),
  ]
  return forms.filter((form) => text.toLowerCase().includes(form.toLowerCase()))
}

// Long enough not to turn up by chance, and free of the characters that a printer escapes.
const secret = fc.string({
  unit: fc.constantFrom('Q', 'X', 'q', 'z', '0', '7', '9', 'ß', '€', '😀'),
  minLength: 10,
  maxLength: 40,
})
const user = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '@', '.'), minLength: 1 })

test('the search below notices a secret in a public field, a message or a header', () => {
  fc.assert(
    fc.property(secret, (password) => {
      expect(leaks(password, printed({ password }))).not.toEqual([])
      expect(leaks(password, printed(new Error(`bad password ${password}`)))).not.toEqual([])
      expect(leaks(password, printed(new NativeAuthorization('u', password).headers()))).not.toEqual([])
    }),
  )
})

describe.each(schemes)('%s', (name, make) => {
  test('prints its name and no secret, before and after use', async () => {
    await fc.assert(
      fc.asyncProperty(user, secret, async (user, password) => {
        for (const given of [password, () => password, async () => password]) {
          const authorization = make(user, given)
          const before = printed(authorization)
          await authorization.headers({ method: 'GET', host: 'h', path: '/', headers: {} })
          const text = before + printed(authorization)
          expect(leaks(password, text)).toEqual([])
          expect(text).toContain(name)
        }
      }),
    )
  })

  test('refuses without quoting the secret', async () => {
    await fc.assert(
      fc.asyncProperty(user, secret, async (user, password) => {
        const broken = `${password}\ud800`
        const wrongs: (() => unknown)[] = [
          () => make(user, broken),
          () => make(broken, password),
          () => make(user, { password } as unknown as Secret),
          () => make(user, () => broken).headers(facts),
          () => make(user, () => ({ password }) as unknown as string).headers(facts),
          () => make(user, () => JSON.parse(`${password} is not JSON`) as string).headers(facts),
          () => make(user, throwing(new TypeError(password))).headers(facts),
          () => make(user, throwing(Object.assign(new Error('x'), { code: password }))).headers(facts),
          () => make(user, throwing(password)).headers(facts),
        ]
        for (const wrong of wrongs) {
          const failure = await attempt(wrong)
          expect(failure).toBeInstanceOf(Error)
          expect(leaks(password, printed(failure))).toEqual([])
        }
      }),
    )
  })
})

const facts = { method: 'GET', host: 'h', path: '/', headers: {} }

function throwing(error: unknown): () => never {
  return () => {
    throw error
  }
}

async function attempt(action: () => unknown): Promise<unknown> {
  try {
    await action()
    return undefined
  } catch (error) {
    return error
  }
}
