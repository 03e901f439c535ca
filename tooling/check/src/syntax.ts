import { type Node, parseSync, Visitor } from 'oxc-parser'

/** What the house rules want to know about a source file. */
export interface Syntax {
  /** Every module that is imported or re-exported, types included, each with its line. */
  readonly imports: readonly { readonly specifier: string; readonly line: number }[]
  /** Lines of `using` and `await using` declarations. */
  readonly usingLines: readonly number[]
  /** Lines of `export default`. */
  readonly defaultExportLines: readonly number[]
  /** Lines of statements at the top that are anything else than `export { … } from '…'`. */
  readonly otherThanReExportLines: readonly number[]
  /** Messages of the parser. */
  readonly errors: readonly string[]
}

/** Parses a TypeScript file and picks out what the house rules look at. */
export function readSyntax(file: string, source: string): Syntax {
  const { program, errors } = parseSync(file, source)
  const line = ({ start }: { start: number }): number => source.slice(0, start).split('\n').length
  const imports: { specifier: string; line: number }[] = []
  const usingLines: number[] = []
  const defaultExportLines: number[] = []
  const add = (node: Node, from: Node | null): void => {
    if (from?.type === 'Literal' && typeof from.value === 'string') {
      imports.push({ specifier: from.value, line: line(node) })
    }
  }
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source),
    ExportAllDeclaration: (node) => add(node, node.source),
    ExportNamedDeclaration: (node) => add(node, node.source),
    ImportExpression: (node) => add(node, node.source),
    TSImportType: (node) => add(node, node.source),
    TSExternalModuleReference: (node) => add(node, node.expression),
    ExportDefaultDeclaration: (node) => defaultExportLines.push(line(node)),
    VariableDeclaration(node) {
      if (node.kind === 'using' || node.kind === 'await using') usingLines.push(line(node))
    },
  }).visit(program)
  return {
    imports,
    usingLines,
    defaultExportLines,
    otherThanReExportLines: program.body
      .filter((node) => node.type !== 'ExportNamedDeclaration' || node.source === null)
      .map(line),
    errors: errors.map(({ message }) => message),
  }
}
