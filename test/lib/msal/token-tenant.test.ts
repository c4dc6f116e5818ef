import t from 'tap'
import { requireTenantOfToken } from '../../../lib/msal/token-tenant.ts'
import { otherTenantId } from '../../fixtures/users.ts'
import { tenantId } from '../../fixtures/todo-api.ts'

function tokenWith (claims: unknown): string {
  return `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
}

t.test('the tenant of a token is checked against the one that was asked, where it can be read', async t => {
  const others = tokenWith({ tid: otherTenantId })
  for (const token of [others, `${others}==`, others.slice(0, others.lastIndexOf('.') + 1)]) t.throws(() => requireTenantOfToken(token, tenantId), { message: 'the token is of another tenant than the one that was asked' }, token)
  for (const token of [tokenWith({ tid: tenantId.toUpperCase() }), tokenWith({ tid: tenantId }), tokenWith({}), tokenWith({ tid: 7 }), tokenWith(null), 'opaque', 'a.b', 'a.%%%.c']) t.doesNotThrow(() => requireTenantOfToken(token, tenantId), token)
  t.doesNotThrow(() => requireTenantOfToken(others, 'contoso.onmicrosoft.com'), 'a domain name says nothing of the id')
})
