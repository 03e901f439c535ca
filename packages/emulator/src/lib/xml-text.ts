const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text for XML, in elements and attributes; what XML cannot hold becomes U+FFFD. */
export function escaped(text: string): string {
  return text
    .replaceAll(/[&<>"]/g, (character) => entities[character]!)
    .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll(/\p{Cc}|\ufffe|\uffff/gu, (character) => (character < ' ' ? '\ufffd' : character))
}

/** Bytes as text for XML. */
export function plain(bytes: string): string {
  return /^[\w.\-/~]*$/.test(bytes) ? bytes : escaped(Buffer.from(bytes, 'latin1').toString())
}
