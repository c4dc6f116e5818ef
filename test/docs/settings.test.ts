import t from 'tap'
import { parseConfiguration } from '../../lib/configuration/configuration.ts'
import { pageOf, pages } from './pages.ts'

const guid = '0d9b6f0a-9a64-4c0f-8d7a-7a3f5b9c2e01'
const settings = pages.flatMap(({ name, text }) => [...text.matchAll(/^```json\n(.*?)^```$/gms)].map(([, json]) => ({ name, json: json!.replace(/<[^>]+>/g, guid) })))

t.test('every settings file of the documentation loads, once its placeholders are filled in', async t => {
  t.ok(settings.length >= 4)
  for (const { name, json } of settings) {
    const { apis, app, warnings } = parseConfiguration({ source: JSON.parse(json) })
    t.ok(apis.size > 0 || app() !== undefined, name)
    t.strictSame(warnings, [], name)
  }
})

t.test('faults are told as the page of the configuration shows', async t => {
  const { text } = pageOf('docs/configuration.md')
  const [, message] = /^```text\n(.*?)\n```$/ms.exec(text) ?? []
  const AzureAd = { Instance: 'https://login.microsoftonline.com/', TenantId: 'contoso.onmicrosoft.com', ClientId: guid }

  t.throws(() => parseConfiguration({ source: { AzureAd, MyWebApi: { BaseUrl: 'https://todo.example/', Scopes: 'api://todo/.default' }, Orders: { Scpoes: 'x', BaseUrl: 'http://orders.example/' } } }), { message: message! })
})
