import { readFileSync, writeFileSync } from 'node:fs'
import { root } from './processes.ts'

/**
 * Writes `text` between the markers `<!-- begin:name -->` and `<!-- end:name -->` of a page.
 *
 * @param page path below the folder of the package
 * @throws Error when the page has no such markers
 */
export function writeBlock (page: string, name: string, text: string): void {
  const [begin, end] = [`<!-- begin:${name} -->`, `<!-- end:${name} -->`]
  const before = readFileSync(root + page, 'utf8')
  const from = before.indexOf(begin)
  const to = before.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${page} has no ${begin} with ${end} after it`)
  writeFileSync(root + page, `${before.slice(0, from + begin.length)}\n${text.trim()}\n${before.slice(to)}`)
}
