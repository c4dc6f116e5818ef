import { writeFileSync } from 'node:fs'
import { withBlocks } from './option-tables.ts'
import { pages, root } from './pages.ts'

// Brings the generated tables of the documentation up to date.
for (const { name, text } of pages) {
  const current = withBlocks(text)
  if (current === text) continue
  writeFileSync(root + name, current)
  console.log(`${name}: written`)
}
