import { XMLValidator } from 'fast-xml-parser'
import { maximumElements, maximumNesting } from './choices.ts'

/** Comments, sections and instructions, which may look as if tags were in them; or one tag: its slashes at the ends. */
const markup =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<!DOCTYPE[^>[]*(?:\[[\s\S]*?\]\s*)?>|<(\/?)(?:[^<>"']|"[^"]*"|'[^']*')*?(\/?)>/g

/** Why text is no XML that HCP takes as an annotation; nothing if it is. */
export function xmlFault(text: string): string | undefined {
  if (XMLValidator.validate(text) !== true) return 'The annotation is not well-formed XML.'
  let [depth, elements, roots] = [0, 0, 0]
  for (const [, close, single] of text.matchAll(markup)) {
    if (close === undefined) continue
    if (close === '/') {
      depth -= 1
      continue
    }
    if (depth === 0) roots += 1
    elements += 1
    if (depth === maximumNesting) return `The annotation has more than ${maximumNesting} levels.`
    if (single === '') depth += 1
  }
  if (elements > maximumElements) return `The annotation has more than ${maximumElements} elements.`
  return roots === 1 ? undefined : 'The annotation is not well-formed XML: it has not one root.'
}
