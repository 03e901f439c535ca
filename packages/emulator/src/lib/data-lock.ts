import { createHash } from 'node:crypto'
import { realpath, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Takes a folder for this process alone, or fails if somebody has it. The lock is a listening local socket: it goes
 * with its process however that ends, so there is nothing stale to clean up (a file with a process id would lie after
 * the id is used again, which in a container is the rule).
 *
 * @returns A function that gives the folder free again.
 * @throws {Error} with code `EADDRINUSE` if the folder is taken.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = socketPath(await realpath(directory))
  let server = await tryListen(path)
  // Outside Linux and Windows the socket is a file, which a killed process leaves behind.
  if (server === undefined && path.endsWith('.sock') && !(await answers(path))) {
    await rm(path, { force: true })
    server = await tryListen(path)
  }
  if (server === undefined) {
    throw Object.assign(new Error(`${directory} is in use by another process`), { code: 'EADDRINUSE' })
  }
  const held = server
  return () => new Promise((resolve) => held.close(() => resolve()))
}

function socketPath(directory: string): string {
  const name = `hcp-emulator-${createHash('sha256').update(directory).digest('hex').slice(0, 32)}`
  if (process.platform === 'linux') return `\0${name}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`
  return join(tmpdir(), `${name}.sock`)
}

function tryListen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen({ path, exclusive: true }, () => resolve(server))
    server.unref()
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
