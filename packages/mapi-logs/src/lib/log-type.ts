/**
 * The kinds of logs that General nodes have: the request logs (`ACCESS`), a snapshot of the operating system (`SYSTEM`), what
 * installations and other service procedures wrote (`SERVICE`), and HCP's own processes (`APPLICATION`).
 */
export type LogType = 'ACCESS' | 'SYSTEM' | 'SERVICE' | 'APPLICATION'

export interface LogTypes {
  readonly L_ACCESS: 'ACCESS'
  readonly L_SYSTEM: 'SYSTEM'
  readonly L_SERVICE: 'SERVICE'
  readonly L_APPLICATION: 'APPLICATION'
  readonly L_ALL: readonly LogType[]
}

/** The kinds under the names that Python's hcpsdk has for them. */
export const logTypes: LogTypes = Object.freeze({
  L_ACCESS: 'ACCESS',
  L_SYSTEM: 'SYSTEM',
  L_SERVICE: 'SERVICE',
  L_APPLICATION: 'APPLICATION',
  L_ALL: Object.freeze(['ACCESS', 'SYSTEM', 'SERVICE', 'APPLICATION'] as const),
})
