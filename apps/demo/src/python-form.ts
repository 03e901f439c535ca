/** A list of texts as Python prints it. */
export function pythonList(texts: readonly string[]): string {
  return `[${texts.map(pythonText).join(', ')}]`
}

/** A list of pairs as Python's `pprint` shows it: one below the other, one that is wider than 80 columns on two lines. */
export function pythonPairs(pairs: readonly (readonly [string, string])[]): string {
  const lines = pairs.map(([name, value], index) => {
    const [first, second] = [pythonText(name), pythonText(value)]
    // The bracket or blank before it, two parentheses, and the comma or bracket behind it.
    const onOneLine = ` (${first}, ${second}),`.length <= 80
    const end = index === pairs.length - 1 ? ']' : ','
    return `${index === 0 ? '[' : ' '}(${first},${onOneLine ? ' ' : '\n  '}${second})${end}`
  })
  return pairs.length === 0 ? '[]' : lines.join('\n')
}

/** A text as Python writes it in a program: in single quotes, unless only such are in it. */
export function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inside = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
  return `${quote}${inside.replaceAll(quote, `\\${quote}`)}${quote}`
}
