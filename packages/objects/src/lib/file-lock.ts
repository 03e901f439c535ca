import { createHash } from 'node:crypto'
import { realpath, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'

/**
 * Claims a file's name for one transfer on this machine. The claim is a listening local socket, which the system takes away with
 * the process, however that ends: nothing stale is left behind, as a file with a process id would be.
 *
 * @param file Need not exist; its folder must.
 * @returns What gives the claim up, or `undefined` if another transfer, of this or another process, has it.
 */
export async function lockFile(file: string): Promise<(() => Promise<void>) | undefined> {
  const path = resolve(file)
  const address = socketAddress(join(await realpath(dirname(path)), basename(path)))
  let server = await listen(address)
  // Outside Linux and Windows the socket is a file, which a killed process leaves.
  if (server === undefined && address.endsWith('.sock') && !(await answers(address))) {
    await rm(address, { force: true })
    server = await listen(address)
  }
  const held = server
  return held && (() => new Promise((done) => held.close(() => done())))
}

function socketAddress(path: string): string {
  const name = `hcp-objects-${createHash('sha256').update(path).digest('hex').slice(0, 32)}`
  if (process.platform === 'linux') return `\0${name}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`
  return join(tmpdir(), `${name}.sock`)
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') done(undefined)
      else fail(error)
    })
    server.listen({ path, exclusive: true }, () => done(server))
    server.unref()
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path, () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', () => done(false))
  })
}
