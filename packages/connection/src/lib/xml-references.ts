const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/**
 * Replaces the references in a text of an XML document: the five names and the numbers of characters, nothing else, since HCP's
 * documents have no DOCTYPE.
 *
 * @throws {SyntaxError} for a reference that means nothing.
 * @see XML 1.0, section 4.1
 */
export function decodeXmlReferences(text: string): string {
  if (!text.includes('&')) return text
  return text.replaceAll(
    /&(?:#x([0-9A-Fa-f]+);|#([0-9]+);|([a-z]+);)?/g,
    (whole, hex: string | undefined, decimal: string | undefined, name: string | undefined) => {
      if (name !== undefined && Object.hasOwn(named, name)) return named[name] as string
      const point = hex === undefined ? Number(decimal ?? Number.NaN) : Number.parseInt(hex, 16)
      if (!isXmlCharacter(point))
        throw new SyntaxError(`it has a reference that means nothing: ${whole.slice(0, 40)}`)
      return String.fromCodePoint(point)
    },
  )
}

/** Whether XML may hold this character. @see XML 1.0, section 2.2 */
export function isXmlCharacter(point: number): boolean {
  if (point < 0x20) return point === 0x9 || point === 0xa || point === 0xd
  return point <= 0xd7ff || (point >= 0xe000 && point <= 0x10ffff && point !== 0xfffe && point !== 0xffff)
}
