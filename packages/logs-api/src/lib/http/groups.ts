import { type Group, routeAccess } from './access.ts'

const routes = Object.keys(routeAccess).map((route) => {
  const [method = '', url = ''] = route.split(' ')
  const names = url.match(/:\w+/g) ?? []
  return { method, names, pattern: new RegExp(`^${url.replace(/:\w+/g, '([^/]+)')}$`) }
})

/** Whose shapes an answer to this path has, also where there is no such route. */
export function groupOf(path: string): Group {
  if (/^\/(?:logs|datasets)(?:\/|$)/.test(path)) return 'entries'
  if (path === '/v1/logs') return 'otlp'
  if (/^\/v1\/[^/]*\/operation_logs(?:\/|$)/.test(path)) return 'operations'
  if (/^\/v1\/[^/]*\/physicalservers(?:\/|$)/.test(path)) return 'exports'
  if (/^\/v2(?:\/|$)/.test(path)) return 'v2'
  return 'open'
}

/** The methods that this path has; none if there is no such path. */
export function methodsOf(path: string): string[] {
  const group = groupOf(path)
  return routes.flatMap(({ method, pattern }) => {
    const found = pattern.exec(path)
    if (found === null) return []
    return group !== 'entries' || found.slice(1).every((part) => isEntryVariable(part)) ? [method] : []
  })
}

/** What stands for a variable in the paths of entries. */
export function isEntryVariable(value: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(value) && value !== '.' && value !== '..'
}

/** A URL without its query. */
export function pathOf(url: string): string {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}
