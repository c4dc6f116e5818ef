import t from 'tap'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { pages, root, type Page } from './pages.ts'

interface Link {
  readonly page: Page
  /** As the page has it. */
  readonly target: string
  /** Absolute path of the file or folder that is meant. */
  readonly path: string
  readonly anchor: string | undefined
}

const links = pages.flatMap(relativeLinks)

t.test('every relative link of the documentation leads to a file or folder', async t => {
  t.ok(links.length >= 15)
  for (const { page, target, path } of links) t.ok(existsSync(path), `${page.name}: ${target}`)
})

t.test('every anchor that a page links to is a heading', async t => {
  const anchored = links.filter(({ anchor }) => anchor !== undefined)
  t.ok(anchored.length > 0)
  for (const { page, target, path, anchor } of anchored) t.ok(anchorsOf(path).includes(anchor!), `${page.name}: ${target}`)
})

t.test('the README leads to every page', async t => {
  const reached = links.filter(({ page, path }) => page.name === 'README.md' && statSync(path).isFile()).map(({ path }) => relative(root, path).replaceAll('\\', '/'))
  t.strictSame(pages.map(({ name }) => name).filter(name => name.startsWith('docs/') && !reached.includes(name)), [])
})

t.test('headings become anchors as GitHub makes them', async t => {
  t.strictSame(['A daemon', 'With `@fastify/env`', 'What is *refused*: 1, 2', 'A daemon'].map(anchorOf), ['a-daemon', 'with-fastifyenv', 'what-is-refused-1-2', 'a-daemon'])
})

function relativeLinks (page: Page): Link[] {
  return [...withoutCode(page.text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter(target => !/^[a-z]+:/.test(target))
    .map(target => {
      const [file = '', anchor] = target.split('#')
      return { page, target, path: file === '' ? root + page.name : resolve(root, dirname(page.name), file), anchor }
    })
}

function anchorsOf (path: string): string[] {
  const seen = new Map<string, number>()
  return [...withoutCode(readFileSync(path, 'utf8')).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => {
    const anchor = anchorOf(heading!)
    const before = seen.get(anchor) ?? 0
    seen.set(anchor, before + 1)
    return before === 0 ? anchor : `${anchor}-${before}`
  })
}

function anchorOf (heading: string): string {
  return heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-')
}

function withoutCode (text: string): string {
  return text.replace(/^```.*?^```$/gms, '')
}
