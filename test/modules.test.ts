import t from 'tap'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const modules = ['lib', 'plugins'].flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .map(name => join(folder, name)))

// A module that no test imports would not be missed by the coverage.
t.test('every module loads by itself', async t => {
  t.ok(modules.length > 50)
  for (const name of modules) await t.resolves(import(pathToFileURL(join(root, name)).href), name)
})
