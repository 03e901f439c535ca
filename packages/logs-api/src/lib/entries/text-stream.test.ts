import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { textStream } from './text-stream.ts'

describe('a text that is made while it is read', () => {
  test('is the pieces, one after the other', async () => {
    async function* pieces(): AsyncGenerator<string, void> {
      yield 'a'
      yield ''
      yield 'ä'.repeat(100_000)
      yield 'z'
    }
    expect(await text(await textStream(pieces()))).toBe(`a${'ä'.repeat(100_000)}z`)
  })

  test('may be empty', async () => {
    async function* pieces(): AsyncGenerator<string, void> {}
    expect(await text(await textStream(pieces()))).toBe('')
  })

  test('A-8: is made no further than it is read', async () => {
    let made = 0
    async function* pieces(): AsyncGenerator<string, void> {
      for (; made < 10_000; made++) yield 'x'.repeat(1000)
    }
    const stream = await textStream(pieces())
    stream.once('readable', () => {})
    await once(stream, 'readable')
    expect(made).toBeLessThan(300)
    stream.destroy()
  })

  test('rejects when the first piece fails, so that the answer can have a status', async () => {
    async function* pieces(): AsyncGenerator<string, void> {
      yield '{"logs":['
      throw new Error('gone')
    }
    await expect(textStream(pieces())).rejects.toThrow('gone')
  })

  test('breaks off when a later piece fails', async () => {
    async function* pieces(): AsyncGenerator<string, void> {
      yield 'x'.repeat(100_000)
      throw new Error('gone')
    }
    await expect(text(await textStream(pieces()))).rejects.toThrow('gone')
  })

  test('tells its maker to stop when it is destroyed, also before anybody read it', async () => {
    const ended = Promise.withResolvers<void>()
    async function* pieces(): AsyncGenerator<string, void> {
      try {
        for (;;) yield 'x'.repeat(100_000)
      } finally {
        ended.resolve()
      }
    }
    const stream = await textStream(pieces())
    stream.destroy()
    await ended.promise
  })
})
