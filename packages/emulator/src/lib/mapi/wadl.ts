import type { ResourceMethod } from './resource.ts'
import { documentTypes } from './documents.ts'
import { escaped } from '../xml-text.ts'

const requestTypes = documentTypes.slice(0, 2)

/** A description of one resource: its methods and their media types, and nothing more. */
export function wadl(path: string, methods: readonly ResourceMethod[]): string {
  const described = methods.map((method) => {
    const sends = method === 'PUT' || method === 'POST'
    const reads = method === 'GET' || method === 'HEAD'
    const types = (list: readonly string[]): string =>
      list.map((type) => `<representation mediaType="${type}"/>`).join('')
    const request = sends ? `<request>${types(requestTypes)}</request>` : ''
    const response = reads ? `<response>${types(documentTypes)}</response>` : ''
    return `<method name="${method}" id="${method.toLowerCase()}">${request}${response}</method>`
  })
  return (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' +
    '<application xmlns="http://research.sun.com/wadl/2006/10"><resources>' +
    `<resource path="/mapi${escaped(path.replaceAll(/:(\w+)/g, '{$1}'))}">${described.join('')}</resource>` +
    '</resources></application>\n'
  )
}
