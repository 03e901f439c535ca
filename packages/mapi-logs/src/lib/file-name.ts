const fallback = 'HCPLogs.zip'
const longest = 200
const reserved = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i

/**
 * The name for a package from `Content-Disposition`, made harmless: no folders, control characters, leading dots, or names that a
 * system has for devices, and not too long. HCP sends the name without quotes.
 *
 * @returns `HCPLogs.zip` if there is no usable one.
 */
export function packageFileName(disposition: string | undefined): string {
  const given = disposition === undefined ? undefined : nameIn(disposition)
  if (given === undefined) return fallback
  const name = (given.split(/[/\\]/).at(-1) ?? '')
    // oxlint-disable-next-line no-control-regex -- those are what is taken out
    .replaceAll(/[\u0000-\u001F\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2066-\u2069\uFEFF\uFFFD<>:"|?*]/g, '')
    .replace(/^[\s.]+/, '')
    .replace(/[\s.]+$/, '')
  if (name === '' || reserved.test(name)) return fallback
  if (Buffer.byteLength(name) <= longest) return name
  const ending = /\.[A-Za-z0-9]{1,8}$/.exec(name)?.[0] ?? ''
  let short = name.slice(0, name.length - ending.length)
  while (Buffer.byteLength(short) > longest - ending.length) short = short.slice(0, -1)
  return short.replace(/[\uD800-\uDBFF]$/, '') + ending
}

function nameIn(disposition: string): string | undefined {
  const extended = /;\s*filename\*\s*=\s*UTF-8'[^']*'([^;]+)/i.exec(disposition)?.[1]
  if (extended !== undefined) {
    try {
      return decodeURIComponent(extended.trim())
    } catch {
      // Then the plain one.
    }
  }
  const [, quoted, plain] =
    /(?:^|;)\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/i.exec(disposition) ?? []
  return quoted?.replaceAll(/\\(.)/g, '$1') ?? plain?.trim()
}
