import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end. `onOutput` sees all output so far and may end it by a signal. */
function run(
  args: readonly string[],
  {
    temporary = tmpdir(),
    onOutput,
  }: { temporary?: string; onOutput?: (stdout: string) => NodeJS.Signals | undefined } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, TMPDIR: temporary, TEMP: temporary }
    const child = execFile(process.execPath, [main, ...args], { env }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
    let seen = ''
    child.stdout?.on('data', (chunk: string) => {
      seen += chunk
      const signal = onOutput?.(seen)
      // Once: a second one ends the program at once.
      if (signal !== undefined && !child.killed) child.kill(signal)
    })
  })
}

let root: string
let folder: string

const oddNames = [
  'empty',
  'with blanks in it.txt',
  ' blank first and last ',
  'Müller & Söhne.txt',
  `quotes ' " and <tags>.xml`,
  'cdata ]]> end',
  '📦 emoji 👩‍👩‍👧.bin',
  'per%20cent?query#hash+plus',
  'tab\tand\nnewline',
  'bell\u0007',
  'deep/er/and deeper/ä/file.txt',
  '日本語/ファイル',
]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'demo-test-'))
  folder = join(root, 'files')
  const plain = Array.from({ length: 40 }, (_, index) => `plain/${index % 4}/${index}.txt`)
  for (const [index, name] of [...oddNames, ...plain].entries()) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, name === 'empty' ? '' : `${name}\n`.repeat(1 + index * 20))
  }
})

afterAll(() => rm(root, { recursive: true, force: true }))

describe('the demonstration', () => {
  test('passes with odd file names, over all nodes, while a node stops and comes back', async () => {
    const temporary = await mkdtemp(join(root, 'temporary-'))
    const { code, stdout, stderr } = await run([folder], { temporary })
    expect(stderr).toBe('')
    expect(code, stdout).toBe(0)
    // 52 files of ours and two large ones.
    expect(stdout).toContain('Namespace n1: enterprise mode, SHA-256, protection level 2, no versions')
    expect(stdout).toContain('The user has the permissions browse, read, write,')
    expect(stdout).toMatch(
      /HCP holds 54 objects, 54 of them with annotations; [\d.]+ MiB of 50\.0 GiB are in use\./,
    )
    expect(stdout).toMatch(/other content under its name +refused: ObjectConflictError 409 different/)
    expect(stdout).toMatch(/found to be stored though the answer was lost: 3\./)
    expect(stdout).toMatch(/160 objects in \d+ folders, each file once/)
    expect(stdout).toContain('160 files are byte by byte the same')
    expect(stdout).toMatch(/broke off and went on from where they were: [1-3]\./)
    expect(stdout.split('HCP holds 0 objects; 0 B of 50.0 GiB are in use.')).toHaveLength(3)
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^PASSED: 54 objects, .* all \d+ checks held\.$/)

    const [, number, underWay] = /Node (\d) \(.*\) is stopped: (\d+) files under way/.exec(stdout) ?? []
    expect(Number(underWay)).toBeGreaterThan(0)
    expect(stdout).toContain('DNS names 3 nodes')
    const served = (phase: string): number[] => {
      const line = stdout.split('\n').find((line) => line.startsWith(`  ${phase} `)) ?? ''
      return [...line.matchAll(/(\d+), +[\d.]+ [KM]?i?B/g)].map((match) => Number(match[1]))
    }
    const stopped = Number(number) - 1
    const away = served(`read, node ${number} away`)
    expect(away).toHaveLength(4)
    expect(away.map((requests) => requests > 0)).toEqual([0, 1, 2, 3].map((node) => node !== stopped))
    for (const phase of ['store', `read, node ${number} back`, 'delete']) {
      expect(served(phase).map((requests) => requests > 0)).toEqual([true, true, true, true])
    }
    expect(await readdir(temporary)).toEqual([])
  })

  test('stores only as many files as asked for, and stops the node when asked to', async () => {
    const { code, stdout } = await run([folder, '--files', '1', '--kill-at', '0'])
    expect(code, stdout).toBe(0)
    expect(stdout).toMatch(/PASSED: 3 objects/)
    expect(stdout.indexOf('is stopped')).toBeLessThan(stdout.indexOf('3 of 3'))
  })

  test('fails, and names the file, when what is read back is not what the file holds', async () => {
    const changed = join(root, 'changed')
    await mkdir(changed)
    for (let index = 0; index < 30; index++) await writeFile(join(changed, `file ${index + 10}`), 'content')
    let done = false
    const { code, stdout } = await run([changed], {
      onOutput: (seen) => {
        // Stored by then, and not read back before all others are stored too.
        if (!done && seen.includes('is stopped')) writeFileSync(join(changed, 'file 10'), 'CONTENT')
        done = seen.includes('is stopped')
        return undefined
      },
    })
    expect(stdout).toMatch(
      /\nFAILED: 1 of \d+ checks did not hold:\n {2}file 10: what was read back is not what the file holds\n$/,
    )
    expect(code).toBe(1)
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('leaves nothing behind when ended by %s', async (signal) => {
    const temporary = await mkdtemp(join(root, 'temporary-'))
    const { code, stdout, stderr } = await run([folder], {
      temporary,
      onOutput: (seen) => (seen.includes('is stopped') ? signal : undefined),
    })
    expect(code).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(stderr).toContain('Stopped early; nothing is left behind.')
    expect(stdout).not.toMatch(/PASSED|FAILED/)
    expect(await readdir(temporary)).toEqual([])
  })

  test.each([
    [['/no/such/folder'], 'There is no folder /no/such/folder.'],
    [[main], `${main} is not a folder.`],
    [['one', 'two'], 'One folder can be given, not 2.'],
    [['--files', '0'], "--files takes a whole number from 1 up, not '0'."],
    [['--kill-at', '100'], "--kill-at takes a whole number from 0 to 99, not '100'."],
    [['--unknown'], "Unknown option '--unknown'"],
  ])('refuses %j with exit code 2 and says why', async (args, message) => {
    const { code, stdout, stderr } = await run(args)
    expect(stderr).toContain(message)
    expect(stderr).toContain('usage:')
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  test('refuses a folder without files', async () => {
    const empty = await mkdtemp(join(root, 'empty-'))
    const { code, stderr } = await run([empty])
    expect(stderr).toContain('has no files to store.')
    expect(code).toBe(2)
  })
})
