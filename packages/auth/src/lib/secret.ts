/**
 * A user name or password: the text itself, or a function that gives it (or a promise of it). A function is asked
 * for each request, so that a changed password is used from the next request on.
 */
export type Secret = string | (() => string | Promise<string>)
