import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Namespace, Permission } from './namespace.ts'
import type { AccountState } from './tenant.ts'

/** An account, of a tenant or of the system. */
export interface Account {
  readonly user: string
  readonly password: string
  readonly roles: ReadonlySet<string>
  readonly enabled: boolean
  /** Without any role it may make namespaces and look after those. */
  readonly allowNamespaceManagement: boolean
  readonly state: AccountState
}

/** Who asks: an account, nobody in particular, or somebody whose credentials are wrong. */
export type Caller = Account | 'anonymous' | 'refused'

const cached = 1_000
const none: ReadonlySet<Permission> = new Set()

/** Checks credentials against a set of accounts; answers are kept by the header's text. */
export class Authenticator {
  readonly #accounts: ReadonlyMap<string, Account>
  readonly #answers = new Map<string, Caller>()

  constructor(accounts: ReadonlyMap<string, Account>) {
    this.#accounts = accounts
  }

  /** The header wins over the cookie of the older form. */
  caller(headers: IncomingHttpHeaders): Caller {
    const text = headers.authorization ?? cookieOf(headers.cookie)
    if (text === undefined) return 'anonymous'
    let answer = this.#answers.get(text)
    if (answer === undefined) {
      answer = this.#check(text)
      if (this.#answers.size >= cached) this.#answers.clear()
      this.#answers.set(text, answer)
    }
    return answer
  }

  /** Accounts have changed. */
  forget(): void {
    this.#answers.clear()
  }

  #check(text: string): Caller {
    const caller = this.#identified(text)
    return typeof caller !== 'string' && !caller.enabled ? 'refused' : caller
  }

  #identified(text: string): Caller {
    const blank = text.indexOf(' ')
    const scheme = text.slice(0, blank).toUpperCase()
    const token = text.slice(blank + 1).trim()
    const colon = token.indexOf(':')
    if (blank === -1 || colon === -1) return 'refused'
    const [left, right] = [token.slice(0, colon), token.slice(colon + 1)]
    if (scheme === 'HCP') {
      if (left === 'all_users' && right === '') return 'anonymous'
      const account = this.#accounts.get(Buffer.from(left, 'base64').toString())
      const digest = account && createHash('md5').update(account.password).digest('hex')
      return account !== undefined && digest === right.toLowerCase() ? account : 'refused'
    }
    if (scheme === 'AD') {
      const [user, password] = [left, right].map((part) => Buffer.from(part, 'latin1').toString())
      if (user === 'all_users' && password === '') return 'anonymous'
      const account = this.#accounts.get(user!)
      return account !== undefined && account.password === password ? account : 'refused'
    }
    return 'refused'
  }
}

/** What a caller may do in a namespace. */
export function permissionsOf(caller: Caller, namespace: Namespace): ReadonlySet<Permission> {
  if (caller === 'refused') return none
  if (caller === 'anonymous') return namespace.anonymous
  return namespace.permissionsOf(caller)
}

function cookieOf(cookie: string | undefined): string | undefined {
  const found = cookie === undefined ? null : /(?:^|;)\s*hcp-ns-auth=([^;]*)/.exec(cookie)
  return found === null ? undefined : `HCP ${found[1]!.trim().replaceAll('"', '')}`
}
