/** Facts of the request that is about to be sent; signing schemes need them, fixed tokens ignore them. */
export interface AuthorizationRequest {
  /** HTTP method in upper case, for example `PUT`. */
  readonly method: string
  /** Value of the `Host` header: the full name, not a node's address. */
  readonly host: string
  /** Path as on the wire: percent-encoded, with the query if there is one. */
  readonly path: string
  /** The other headers of the request. */
  readonly headers: Readonly<Record<string, string>>
}

/** Header names (in lower case here; compare them without regard to case) and values to add to a request. */
export type AuthorizationHeaders = Readonly<Record<string, string>>

/** Turns credentials into the headers of a request. Write your own class with this method for another scheme. */
export interface Authorization {
  /**
   * Gives the headers that authorize one request; called once for each request sent.
   *
   * @returns The headers, or a promise of them. Callers must not change the object. It holds secrets: do not log it.
   */
  headers(request: AuthorizationRequest): AuthorizationHeaders | Promise<AuthorizationHeaders>
}
