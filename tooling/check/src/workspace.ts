import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

/** The fields of a package.json that the checks look at; what they hold is not taken on trust. */
export interface Manifest {
  readonly name?: string
  readonly version?: string
  readonly description?: string
  readonly license?: string
  readonly private?: boolean
  readonly type?: string
  readonly sideEffects?: unknown
  readonly files?: readonly string[]
  readonly engines?: Readonly<Record<string, string>>
  readonly bin?: Readonly<Record<string, string>>
  readonly exports?: Exports
  readonly publishConfig?: {
    readonly access?: string
    readonly bin?: Readonly<Record<string, string>>
    readonly exports?: Exports
  }
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** An export is a file, or a file for each condition. */
export type Exports = Readonly<Record<string, string | Readonly<Record<string, string>>>>

/** A folder of the workspace with a package.json. */
export interface Package {
  /** The first folder under the root: who may import it and what it may import depends on this. */
  readonly group: 'packages' | 'apps' | 'tooling'
  /** Absolute path. */
  readonly folder: string
  readonly name: string
  readonly manifest: Manifest
}

/** All packages below `root`, by group and name. */
export function readWorkspace(root: string): Package[] {
  return globSync('{packages,apps,tooling}/*/package.json', { cwd: root })
    .toSorted()
    .map((file) => {
      const manifest = readManifest(join(root, file))
      const [group, directory] = file.split(sep) as [Package['group'], string]
      return { group, folder: join(root, group, directory), name: manifest.name ?? directory, manifest }
    })
}

/** Reads a package.json. */
export function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest
}

/** The TypeScript sources of a package: paths relative to its folder, with `/`. */
export function sourceFiles({ folder }: Package): string[] {
  if (!existsSync(join(folder, 'src'))) return []
  return globSync('src/**/*.{ts,tsx}', { cwd: folder })
    .map((file) => file.split(sep).join('/'))
    .toSorted()
}

/** Whether a file is a test (`*.test.ts`) or what tests share (`*.testing.ts`), and so never leaves the workspace. */
export function isTest(file: string): boolean {
  return /\.(?:test|testing)\.tsx?$/.test(file)
}

/** `packages/ips/src/index.ts` for a file of a package: how problems name a place. */
export function place(root: string, { folder }: Package, file: string): string {
  return `${relative(root, folder).split(sep).join('/')}/${file}`
}
