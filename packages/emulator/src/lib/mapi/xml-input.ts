import { maximumDocumentDepth } from '../choices.ts'
import { Refusal } from '../refusal.ts'

/** Names are of ASCII letters: MAPI has no others. */
const openTag = /<([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y
const closeTag = /<\/([\w.:-]+)\s*>/y
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

interface Open {
  readonly name: string
  readonly children: Record<string, unknown>
  text: string
  childless: boolean
}

/**
 * Reads a request's XML into the JSON form: leaves are texts without the white space around them, what occurs several
 * times is an array. One pass, without a DTD, and no deeper than any document of MAPI is.
 */
export function parseXml(text: string): { readonly root: string; readonly value: unknown } {
  const open: Open[] = []
  let root: { readonly root: string; readonly value: unknown } | undefined
  let at = text.startsWith('\ufeff') ? 1 : 0

  const close = (): void => {
    const { name, children, text: raw, childless } = open.pop()!
    const trimmed = raw.trim()
    if (!childless && trimmed !== '') throw malformed(`${name} has text between its elements`)
    const value = childless ? trimmed : children
    const parent = open.at(-1)
    if (parent === undefined) {
      root = { root: name, value }
      return
    }
    parent.childless = false
    const before = parent.children[name]
    if (before === undefined) parent.children[name] = value
    else if (Array.isArray(before)) before.push(value)
    else parent.children[name] = [before, value]
  }
  const skip = (end: string): string => {
    const to = text.indexOf(end, at)
    if (to === -1) throw malformed(`${end} is missing`)
    const inner = text.slice(at, to)
    at = to + end.length
    return inner
  }
  const add = (piece: string): void => {
    const current = open.at(-1)
    if (current !== undefined) current.text += piece
    else if (piece.trim() !== '') throw malformed('there is text outside the root')
  }

  while (at < text.length) {
    if (text[at] !== '<') {
      const next = text.indexOf('<', at)
      const end = next === -1 ? text.length : next
      add(unescaped(text.slice(at, end)))
      at = end
    } else if (text.startsWith('<!--', at)) {
      at += 4
      skip('-->')
    } else if (text.startsWith('<![CDATA[', at)) {
      at += 9
      add(skip(']]>'))
    } else if (text.startsWith('<?', at)) {
      at += 2
      skip('?>')
    } else if (text.startsWith('<!', at)) {
      throw malformed('a document type is not allowed')
    } else if (text[at + 1] === '/') {
      closeTag.lastIndex = at
      const name = closeTag.exec(text)?.[1]
      if (name === undefined || name !== open.at(-1)?.name) throw malformed('an end tag does not match')
      at = closeTag.lastIndex
      close()
    } else {
      openTag.lastIndex = at
      const found = openTag.exec(text)
      if (found === null) throw malformed('a tag is malformed')
      if (open.length === 0 && root !== undefined) throw malformed('there is more than one root')
      if (open.length === maximumDocumentDepth) throw malformed('it is nested too deeply')
      at = openTag.lastIndex
      const children = Object.create(null) as Record<string, unknown>
      open.push({ name: found[1]!, children, text: '', childless: true })
      if (found[3] === '/') close()
    }
  }
  if (open.length > 0 || root === undefined) throw malformed('it is not complete')
  return root
}

/** The first entity that is not known ends it: a body may have a million of them. */
function unescaped(text: string): string {
  let out = ''
  let from = 0
  for (let at = text.indexOf('&'); at !== -1; at = text.indexOf('&', from)) {
    out += text.slice(from, at)
    const name = text.slice(at + 1, at + 12).split(';', 1)[0]!
    const plain = Object.hasOwn(entities, name) ? entities[name] : undefined
    const digits = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name)
    const code = digits === null ? NaN : parseInt(digits[1] ?? digits[2]!, digits[1] === undefined ? 10 : 16)
    from = at + name.length + 2
    if (text[from - 1] !== ';' || (plain === undefined && !isCharacter(code)))
      throw malformed('an entity is not known')
    out += plain ?? String.fromCodePoint(code)
  }
  return out + text.slice(from)
}

function isCharacter(code: number): boolean {
  if (code < 0x20) return code === 9 || code === 10 || code === 13
  return (code < 0xd800 || code > 0xdfff) && code !== 0xfffe && code !== 0xffff && code <= 0x10ffff
}

function malformed(why: string): Refusal {
  return new Refusal(400, `The request body is not well-formed XML: ${why}.`)
}
