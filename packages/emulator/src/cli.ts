#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

// An older Node would end with an error of the language somewhere in the middle.
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`hcp-emulator: needs Node 22.19 or later; this is ${process.versions.node}\n`)
  process.exitCode = 2
} else {
  const { runCommand } = await import('./lib/command.ts')
  process.exitCode = await runCommand(process.argv.slice(2))
}
