import { createHmac, timingSafeEqual } from 'node:crypto'
import { Refusal } from '../http/refusal.ts'

/**
 * Packs a place in an answer into text that clients hand back unchanged.
 *
 * @param scope Of what it is a place: all parameters that have to be the same again.
 * @param value Anything that JSON can hold.
 */
export function sealCursor(secret: Buffer, scope: string, value: unknown): string {
  const content = Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${content}.${seal(secret, scope, content)}`
}

/** What `sealCursor` packed. @throws {Refusal} 400 if the text was changed, or sealed for another scope. */
export function openCursor(secret: Buffer, scope: string, text: string): unknown {
  const [content = '', found = ''] = text.split('.', 2)
  const expected = seal(secret, scope, content)
  // The texts, not the bytes they stand for: several texts stand for the same bytes.
  const same = `${content}.${found}` === text && sameText(found, expected)
  if (!same) {
    throw new Refusal(
      400,
      'cursor was changed or belongs to other parameters. Send next_cursor of the page before, with the same parameters, or begin without one.',
    )
  }
  return JSON.parse(Buffer.from(content, 'base64url').toString())
}

function seal(secret: Buffer, scope: string, content: string): string {
  return createHmac('sha256', secret).update(`${content}\n${scope}`).digest('base64url')
}

function sameText(found: string, expected: string): boolean {
  const [one, other] = [Buffer.from(found), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}
