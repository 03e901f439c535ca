import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { isTest, type Manifest, type Package, readManifest } from './workspace.ts'

/**
 * Packs a built package. With pnpm only: npm would leave `workspace:` ranges and the inner exports in place.
 *
 * @returns Path of the tarball.
 */
export async function pack(root: string, pkg: Package, destination: string): Promise<string> {
  const answer = await command(root, 'pnpm', ['pack', '--json', '--pack-destination', destination], {
    cwd: pkg.folder,
  })
  return (JSON.parse(answer) as { filename: string }).filename
}

/** Unpacks a tarball below `destination` and checks what a user would get. */
export async function tarballProblems(root: string, tarball: string, destination: string): Promise<string[]> {
  await mkdir(destination, { recursive: true })
  await command(root, 'tar', ['-xzf', tarball, '-C', destination], { cwd: destination })
  return contentProblems(join(destination, 'package'))
}

/** Checks the unpacked folder of a package: files that must be there, files that must not, ranges that npm understands. */
export function contentProblems(folder: string): string[] {
  const manifest = readManifest(join(folder, 'package.json'))
  const text = readFileSync(join(folder, 'package.json'), 'utf8')
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
  const needed = ['README.md', 'LICENSE', ...targets(manifest)]
  return [
    ...needed.filter((file) => !existsSync(join(folder, file))).map((file) => `lacks ${file}`),
    ...files
      .filter((file) => isTest(file) || /\.(?:test|testing)\.(?:js|d\.ts)/.test(file))
      .map((file) => `has a test: ${file}`),
    ...files.filter((file) => /(?:^|[/\\])\.readme-/.test(file)).map((file) => `has a leftover: ${file}`),
    ...files
      .filter((file) => /^dist[/\\].*\.js$/.test(file) && !files.includes(`${file}.map`))
      .map((file) => `has no source map for ${file}`),
    ...(text.includes('workspace:') ? ['package.json has a workspace: range'] : []),
    ...targets(manifest)
      .filter((file) => file.startsWith('./src/'))
      .map((file) => `package.json leads users to ${file}`),
    ...Object.values(manifest.bin ?? {})
      .filter((file) => existsSync(join(folder, file)))
      .filter((file) => !readFileSync(join(folder, file), 'utf8').startsWith('#!/usr/bin/env node\n'))
      .map((file) => `${file} is a command without #!/usr/bin/env node`),
  ]
}

/** Every file that exports and bin lead to. */
function targets({ exports = {}, bin = {} }: Manifest): string[] {
  const exported = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  )
  return [...exported, ...Object.values(bin)]
}
