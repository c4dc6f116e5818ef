import t from 'tap'
import { requireDefaultScope, resourceOf, resourceOfScope } from '../../../lib/tokens/scopes.ts'

t.test('a /.default scope stands for its resource, in any letter case', async t => {
  for (const [scope, resource] of [['api://todo/.default', 'api://todo'], ['https://vault.azure.net/.DEFAULT', 'https://vault.azure.net'], ['https://vault.azure.net//.default', 'https://vault.azure.net/'], ['33333333-3333-4333-8333-333333333333/.default', '33333333-3333-4333-8333-333333333333']] as const) {
    requireDefaultScope(scope)
    t.equal(resourceOf(scope), resource)
  }
})

t.test('any scope belongs to the resource before its last segment, or is one itself', async t => {
  for (const [scope, resource] of [['api://todo/Todo.Read', 'todo'], ['todo/.default', 'todo'], ['api://todo//.default', 'todo'], ['https://Graph.microsoft.com/.default', 'https://graph.microsoft.com'], ['User.Read', 'user.read'], ['/x', '/x'], ['', '']]) {
    t.equal(resourceOfScope(scope!), resource)
  }
})
