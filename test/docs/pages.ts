import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder of the package. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** A page of the documentation. */
export interface Page {
  /** Path below {@link root}. */
  readonly name: string
  readonly text: string
}

/** The pages that users read, README first. */
export const pages: readonly Page[] = [
  ...readdirSync(root).filter(isPage).sort((a, b) => Number(b === 'README.md') - Number(a === 'README.md')),
  ...readdirSync(`${root}docs`).filter(isPage).map(name => `docs/${name}`),
].map(name => ({ name, text: readFileSync(root + name, 'utf8') }))

/** The page `name`. */
export function pageOf (name: string): Page {
  return pages.find(page => page.name === name) ?? { name, text: '' }
}

function isPage (name: string): boolean {
  return name.endsWith('.md')
}
