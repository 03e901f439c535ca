/** A ```ts block of a README. */
export interface ReadmeExample {
  /** Line of its first line of code, from 1. */
  readonly line: number
  readonly code: string
}

/** The ```ts blocks of a README, in order. Each is meant to be a module that runs by itself. */
export function readmeExamples(markdown: string): ReadmeExample[] {
  return [...markdown.matchAll(/^```ts[ \t]*\r?\n([\s\S]*?)^```[ \t]*\r?$/gm)].map((match) => ({
    line: markdown.slice(0, match.index).split('\n').length + 1,
    code: match[1] ?? '',
  }))
}
