import t from 'tap'
import type { Authority } from '../../../lib/authorities/authority.ts'
import { openIdConfigurationUrl, readOpenIdConfiguration } from '../../../lib/authorities/openid-configuration.ts'

const tenantId = '9b3f1c6e-2d4a-4b8e-9f10-0a1b2c3d4e5f'
const origin = 'https://login.contoso.example'

function authorityOf (given: Partial<Authority> = {}): Authority {
  return { instance: `${origin}/`, tenantId, policy: undefined, clientId: 'app', tokenEndpoint: 'unused', isDiscovered: true, region: undefined, ...given }
}

const good = { issuer: `${origin}/${tenantId}/v2.0`, token_endpoint: `${origin}/${tenantId}/oauth2/token`, jwks_uri: `${origin}/keys` }
const read = (document: object, authority?: Partial<Authority>) => readOpenIdConfiguration(JSON.stringify({ ...good, ...document }), authorityOf(authority))

t.test('the document is looked for below the tenant, and below the policy where there is one', async t => {
  t.equal(openIdConfigurationUrl(authorityOf()), `${origin}/${tenantId}/v2.0/.well-known/openid-configuration`)
  t.equal(openIdConfigurationUrl(authorityOf({ policy: 'b2c_1_susi' })), `${origin}/${tenantId}/b2c_1_susi/v2.0/.well-known/openid-configuration`)
})

t.test('a good document gives the issuer, the token endpoint, and where the keys are', async t => {
  t.strictSame(read({}), { issuer: good.issuer, tokenEndpoint: good.token_endpoint, jwksUri: good.jwks_uri })
  for (const issuer of [
    `https://sts.windows.net/${tenantId.toUpperCase()}/`, 'https://login.microsoftonline.com/{tenantid}/v2.0', `https://${tenantId}.ciamlogin.com/${tenantId}/v2.0`, `https://contoso.b2clogin.com/tfp/${tenantId}/b2c_1_susi/v2.0/`,
  ]) t.match(read({ issuer }), { issuer }, issuer)
  t.match(read({ issuer: `${origin}/` }, { tenantId: 'contoso.example' }), { issuer: `${origin}/` }, 'a domain name is in no issuer')
  t.match(read({ issuer: 'http://127.0.0.1:8420/x', token_endpoint: 'http://127.0.0.1:8420/token' }, { instance: 'http://127.0.0.1:8420/', tenantId: 'x' }), { tokenEndpoint: 'http://127.0.0.1:8420/token' })
  for (const jwksUri of ['https://evil.example/keys', 'http://login.contoso.example/keys', 'no URL', 7, undefined]) t.match(read({ jwks_uri: jwksUri }), { jwksUri: undefined }, String(jwksUri))
})

t.test('a token endpoint elsewhere than on the authority\'s own origin must not be used', async t => {
  for (const tokenEndpoint of [
    'https://evil.example/token', 'http://login.contoso.example/token', 'https://login.contoso.example:8443/token', 'https://login.contoso.example.evil/token', 'https://app:secret@login.contoso.example/token', 'https://app@login.contoso.example/token',
    'https://login.microsoftonline.com/token', '/token', 'no URL', '',
  ]) t.throws(() => read({ token_endpoint: tokenEndpoint }), { message: 'its token_endpoint is not on the origin of the authority' }, tokenEndpoint)
})

t.test('an issuer of somebody else, or of another tenant, must not be used', async t => {
  for (const issuer of [`https://evil.example/${tenantId}`, `http://login.contoso.example/${tenantId}`, `http://login.microsoftonline.com/${tenantId}`, tenantId, '', `https://login.microsoftonline.com.evil/${tenantId}`]) {
    t.throws(() => read({ issuer }), { message: 'its issuer is not an https URL of the authority\'s host or of a Microsoft cloud' }, issuer)
  }
  for (const issuer of ['https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000/v2.0', `${origin}/`]) t.throws(() => read({ issuer }), { message: 'its issuer is not of the tenant' }, issuer)
})

t.test('what has not both an issuer and a token endpoint is no document', async t => {
  for (const text of ['', 'no JSON', 'null', '7', '[]', '{}', '"text"', '{"issuer":"x"}', '{"token_endpoint":"x"}', '{"issuer":1,"token_endpoint":"x"}']) t.equal(readOpenIdConfiguration(text, authorityOf()), undefined, text)
})
