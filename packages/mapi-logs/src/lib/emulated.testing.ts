import { NativeAuthorization } from '@hcp/auth'
import { type ConnectionOptions, Target } from '@hcp/connection'
import { type Emulator, type EmulatorOptions, startEmulator } from '@hcp/emulator'
import { Logs } from './logs.ts'

export interface Emulated extends AsyncDisposable {
  readonly hcp: Emulator
  readonly logs: Logs
  /** Another user's. */
  readonly others: Logs
}

export interface EmulatedOptions {
  /** Milliseconds that a preparation takes. Default 20. */
  readonly preparation?: number
  /** About so many bytes has a package of all days. Default 0: only what was really served. */
  readonly bytes?: number
  readonly connection?: ConnectionOptions
  readonly options?: EmulatorOptions
}

export const targetOf = (hcp: Emulator, user = 'sysadmin', password = 's01', host = 'admin'): Target =>
  new Target(`${host}.hcp1.test`, {
    authorization: new NativeAuthorization(user, password),
    port: hcp.ports.mapi,
    nameServers: [hcp.dns],
    tls: { ca: hcp.ca },
  })

/** A system with its log job, and two who use it. */
export async function emulate({
  preparation = 20,
  bytes = 0,
  connection = {},
  options = {},
}: EmulatedOptions = {}): Promise<Emulated> {
  const hcp = await startEmulator({ ...options, choices: { logPreparationMs: preparation } })
  if (bytes > 0) hcp.seedLogs({ bytes })
  const logs = new Logs(targetOf(hcp), connection)
  const others = new Logs(targetOf(hcp))
  return {
    hcp,
    logs,
    others,
    [Symbol.asyncDispose]: async () => {
      await logs.close()
      await others.close()
      await hcp[Symbol.asyncDispose]()
    },
  }
}

/** Waits for a state of HCP's log job. */
export async function untilState(logs: Logs, state: string): Promise<void> {
  for (let tries = 0; (await logs.status()).state !== state; tries++) {
    if (tries > 500) throw new Error(`the job never was ${state}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Fails quickly and repeats quickly, for tests with faults. */
export const hasty: ConnectionOptions = {
  connectTimeout: 500,
  headersTimeout: 400,
  bodyTimeout: 400,
  retry: { attempts: 4, minDelay: 2, maxDelay: 20 },
}

/** A week of days, today included. */
export const week: { readonly startDate: Date; readonly endDate: Date } = {
  startDate: new Date(Date.now() - 8 * 86_400_000),
  endDate: new Date(),
}
