import type { Finding } from './stored-object.ts'

/** The conditional headers of HCP (Using a Namespace, "Conditional operations"). */
const conditionNames = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const

/** What is known of a PUT of which some try may have been carried out though its answer was lost. */
export class Doubt {
  /** Some try may have stored the object. */
  raised = false
  /** What the last HEAD found. */
  finding: Finding['kind'] | undefined
  /** Headers for the next try, so that it cannot store a second version if an earlier try did come through after all. */
  condition: Readonly<Record<string, string>> | undefined
  readonly #headers: Readonly<Record<string, string>>

  /** @param headers The caller's, names in lower case. */
  constructor(headers: Readonly<Record<string, string>>) {
    this.#headers = headers
  }

  /** The caller has set a condition: its failure is an answer. */
  get callersOwn(): boolean {
    return conditionNames.some((name) => this.#headers[name] !== undefined)
  }

  found(finding: Finding): void {
    this.finding = finding.kind
    this.condition = undefined
    // A condition of the caller's guards the object already, and is not ours to replace.
    if (this.callersOwn) return
    if (finding.kind === 'absent') this.condition = { 'if-none-match': '*' }
    if (finding.kind === 'other') {
      if (finding.etag === undefined) this.finding = 'unknown'
      else this.condition = { 'if-match': finding.etag }
    }
  }
}
