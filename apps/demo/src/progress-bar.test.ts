import { expect, test } from 'vitest'
import { ProgressBar } from './progress-bar.ts'

function output(isTTY: boolean): { isTTY: boolean; text: string; write(text: string): void } {
  return {
    isTTY,
    text: '',
    write(text) {
      this.text += text
    },
  }
}

/** What stands on a terminal in the end. */
const screen = (text: string): string[] =>
  // oxlint-disable-next-line no-control-regex
  text.split('\n').map((line) => line.split(/\r\u001b\[2K/).at(-1) ?? '')

test('is a line for every quarter where there is no terminal', () => {
  const out = output(false)
  {
    using bar = new ProgressBar('storing', 200, out)
    for (let done = 0; done < 200; done++) bar.advance()
  }
  const lines = out.text.trimEnd().split('\n')
  expect(lines).toHaveLength(5)
  expect(lines.slice(0, 3)).toEqual([
    'storing   0 %  0 of 200',
    'storing  25 %  50 of 200',
    'storing  50 %  100 of 200',
  ])
  expect(lines.at(-1)).toBe('storing 100 %  200 of 200')
  expect(out.text).not.toContain('\u001b')
})

test('is one line drawn again on a terminal, with what is said above it', () => {
  const out = output(true)
  {
    using bar = new ProgressBar('storing', 4, out)
    bar.advance()
    bar.say('a node is stopped')
    bar.advance()
  }
  expect(screen(out.text)).toEqual([
    'a node is stopped',
    'storing [===============               ]  50 %  2 of 4',
    '',
  ])
})

test('says 100 % of nothing', () => {
  const out = output(false)
  using _ = new ProgressBar('deleting', 0, out)
  expect(out.text).toBe('deleting 100 %  0 of 0\n')
})
