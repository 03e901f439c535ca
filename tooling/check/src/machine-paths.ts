import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { command } from './command.ts'

// A home or work folder at the start of a path: true on the machine it was written on, and nowhere else.
const machinePath = /(?<![\w.~*:)\]}-])\/(?:work|root|(?:home|Users)\/\w+|tmp\/\w+_jobs[^/\s]*)\//

/** Checks that no file under version control names a folder of the machine it was written on. */
export async function machinePathProblems(root: string): Promise<string[]> {
  const files = await command(root, 'git', ['ls-files', '-z'], { cwd: root })
  return files
    .split('\0')
    .filter((file) => file !== '' && file !== 'pnpm-lock.yaml')
    .flatMap((file) => linesWithMachinePaths(readText(join(root, file))).map((line) => `${file}:${line}`))
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // deleted, or a link to a folder
  }
}

function linesWithMachinePaths(text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const match = machinePath.exec(line)
    return match ? [`${index + 1}: ${match[0]}`] : []
  })
}
