#!/usr/bin/env node
import { runCommand } from './lib/command.ts'

process.exitCode = await runCommand(process.argv.slice(2))
