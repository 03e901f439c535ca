import { PathBuilderError } from './errors.ts'

/** What XML 1.0 cannot hold, not even as a character reference: most control characters, halves of pairs, FFFE, FFFF. */
// oxlint-disable-next-line no-control-regex
const UNFIT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u

/** @returns How the text's first character that XML cannot hold is written in Unicode, like `U+0007`. */
export function unfitCharacter(text: string): string | undefined {
  const found = UNFIT.exec(text)?.[0]
  return found && `U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}

/**
 * The annotation that tells an object's original name: the bytes that the Python package writes, so that whatever
 * reads its annotations reads these.
 *
 * @param path The folder, already checked.
 * @throws {PathBuilderError} `PATHBUILDER_FILENAME`: the Python package wrote invalid XML here.
 */
export function annotationXml(filename: string, path: string, uuid: string): string {
  const unfit = unfitCharacter(filename)
  if (unfit !== undefined) {
    throw new PathBuilderError(
      'PATHBUILDER_FILENAME',
      `the file name holds ${unfit}, which XML cannot carry; replace it, or escape it in a way of your own`,
    )
  }
  return (
    "<?xml version='1.0' encoding='utf-8'?>\n" +
    `<hcpsdk_fileobject filename="${escape(filename)}" path="${escape(path)}" uuid="${uuid}" />`
  )
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#09;',
  '\n': '&#10;',
  '\r': '&#13;',
}

function escape(text: string): string {
  return text.replace(/[&<>"\t\n\r]/g, (character) => ESCAPES[character]!)
}
