import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const source = fileURLToPath(new URL('.', import.meta.url))
// As deep below the package as this folder, so that its imports of the built package lead there too.
const target = fileURLToPath(new URL('../../.tap/bench/', import.meta.url))

/**
 * The scripts of this folder as JavaScript: processes that need no compiler start in half of the time, and none of the calls
 * that a compiler adds is measured.
 *
 * @returns the folder they are in
 */
export function compileScripts (): string {
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue
    const { outputText } = ts.transpileModule(readFileSync(join(source, name), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true, rewriteRelativeImportExtensions: true }
    })
    const file = join(target, name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, outputText)
  }
  return target
}
