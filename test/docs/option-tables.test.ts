import t from 'tap'
import * as v from 'valibot'
import { acquireTokenOptions, managedIdentityOptions } from '../../lib/configuration/acquire-token-options.ts'
import { downstreamApiDefaults, downstreamApiOptions } from '../../lib/configuration/api-options.ts'
import { azureAdOptions } from '../../lib/configuration/app-options.ts'
import { inboundDefaults, inboundOptions } from '../../lib/configuration/inbound-options.ts'
import { identityWebDefaults, identityWebOptions } from '../../lib/configuration/schema.ts'
import { routeAuthOptions } from '../../lib/inbound/route-access.ts'
import { blocks, optionsOf, optionTable, withBlocks } from './option-tables.ts'
import { pageOf, pages } from './pages.ts'

t.test('the tables of options say what the schemas say: "npm run docs" writes them', async t => {
  for (const { name, text } of pages) t.equal(text, withBlocks(text), name)
})

t.test('every table is on one page, once: on that of the configuration, or of what it is about', async t => {
  const elsewhere = ['inbound options', 'route auth options']
  const markersOf = (name: string) => [...pageOf(name).text.matchAll(/<!-- begin:(.+?) -->/g)].map(([, marker]) => marker!)
  t.strictSame(markersOf('docs/configuration.md').sort(), Object.keys(blocks).filter(name => !elsewhere.includes(name)).sort())
  t.strictSame(markersOf('docs/protecting-routes.md').sort(), elsewhere)
})

t.test('every option has a meaning and a type, and a default in code is nowhere told in words', async t => {
  for (const [schema, defaults] of [[identityWebOptions, identityWebDefaults], [downstreamApiOptions, downstreamApiDefaults], [acquireTokenOptions, {}], [managedIdentityOptions, {}], [azureAdOptions, {}], [inboundOptions, inboundDefaults], [routeAuthOptions, {}]] as const) {
    const options = optionsOf(schema, defaults)
    t.ok(options.length > 0)
    for (const { key, meaning, type } of options) {
      t.match(meaning, /^\S.*\.$/, key)
      t.match(type, /^[^\s]/, key)
      t.notMatch(type, /^(custom|string|undefined)$/, key)
      t.notMatch(meaning, /Default:/, key)
    }
    const told = optionsOf(schema).filter(option => option.default !== undefined).map(({ key }) => key)
    t.strictSame(told.filter(key => key in defaults), [])
  }
})

t.test('a table has key, type, default and meaning, and no cell ends early', async t => {
  const schema = v.partial(v.strictObject({
    mode: v.pipe(v.picklist(['a', 'b']), v.description('One | the other. Default: `a`.')),
    wait: v.pipe(v.number(), v.integer('expected a whole number'), v.minValue(0, 'expected at least 0'), v.description('How long.')),
    nested: v.pipe(v.partial(v.strictObject({ size: v.pipe(v.number(), v.description('How big.')) })), v.description('More.')),
    gone: v.undefined('not supported'),
  }))

  t.equal(optionTable(schema, { wait: 1500, nested: { size: 2 } }), [
    '| key | type | default | meaning |',
    '|---|---|---|---|',
    '| `mode` | `a`, `b` | `a` | One \\| the other. |',
    '| `wait` | whole number from 0 on | 1,500 | How long. |',
    '| `nested.size` | number | 2 | How big. |',
  ].join('\n'))
})

t.test('a page without markers stays as it is, as does a block of another name', async t => {
  for (const page of ['# Nothing', '<!-- begin:else -->\nkept\n<!-- end:else -->']) t.equal(withBlocks(page), page)
})
