import t from 'tap'
import { retryRules } from '../../lib/tokens/retry-rules.ts'
import { tokenChannels } from '../../lib/tokens/token-events.ts'
import { pageOf } from './pages.ts'

const { text } = pageOf('docs/reliability.md')

t.test('the page has the rules of retries', async t => {
  const rows = [...text.matchAll(/^\| ([^|]+) \| ([\d, ]+), 5xx \| (\d+) \| (\d+) ms \|$/gm)].map(([, asked, statuses, attempts, firstDelay]) => ({ asked, statuses: statuses!.split(', ').map(Number), attempts: Number(attempts), firstDelay: Number(firstDelay) }))

  t.strictSame(rows, [{ asked: 'Entra ID', ...retryRules['entra-id'] }, { asked: 'a managed identity endpoint', ...retryRules['managed-identity'] }])
})

t.test('the page has every channel', async t => {
  const rows = [...text.matchAll(/^\| `(fastify-identity-web:[a-z:]+)` \|/gm)].map(([, name]) => name)

  t.strictSame(rows.sort(), Object.values(tokenChannels).sort())
})
