import { readFileSync } from 'node:fs'
import { defineConfig } from 'tsup'

// One entry per file directly in src/: the public surface of a package is the list of those files.
// Declarations come from `tsc`, see tsconfig.build.json of each package.
const { dependencies = {} } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  dependencies?: Record<string, string>
}

export default defineConfig({
  entry: ['src/*.ts', '!src/*.test.ts'],
  format: 'esm',
  target: 'node22.19',
  platform: 'node',
  sourcemap: true,
  clean: true,
  dts: false,
  splitting: true,
  // `node:sqlite` has no other name.
  removeNodeProtocol: false,
  external: Object.keys(dependencies),
})
