import t from 'tap'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { request } from 'undici'
import { clientId, tenantId } from '../../fixtures/todo-api.ts'
import { startUserWorld } from '../../fixtures/users.ts'

type Json = Record<string, unknown>
const getOf = (instance: string) => async (path: string) => (await fetch(instance + path)).json() as Promise<Json>

t.test('the documents of the meta-tenants have the tenant of a user as a template, and so have their keys', async t => {
  const { entra } = await startUserWorld(t)
  const get = getOf(entra.instance)
  for (const meta of ['common', 'organizations', 'consumers', 'Common']) {
    const base = `${entra.instance}${meta.toLowerCase()}`
    const document = await get(`${meta}/v2.0/.well-known/openid-configuration`)
    t.match(document, { issuer: `${entra.instance}{tenantid}/v2.0`, token_endpoint: `${base}/oauth2/v2.0/token`, jwks_uri: `${base}/discovery/v2.0/keys` })
    t.match(await (await fetch(String(document['jwks_uri']))).json(), { keys: [{ kty: 'RSA', kid: String, issuer: `${entra.instance}{tenantid}/v2.0` }] })
  }
})

t.test('a tenant\'s own document and keys name its issuer', async t => {
  const { entra } = await startUserWorld(t)
  const document = await getOf(entra.instance)(`${tenantId}/v2.0/.well-known/openid-configuration`)
  t.match(document, { issuer: entra.issuer(tenantId), jwks_uri: entra.jwksUri(tenantId) })
  t.match(await (await fetch(entra.jwksUri(tenantId))).json(), { keys: [{ issuer: entra.issuer(tenantId) }] })
})

t.test('the documents of version 1.0 have an issuer of their own, and keys without one', async t => {
  const { entra } = await startUserWorld(t)
  const get = getOf(entra.instance)
  for (const [tenant, issuer] of [[tenantId, `${entra.instance}${tenantId}/`], ['common', `${entra.instance}{tenantid}/`], ['organizations', `${entra.instance}{tenantid}/`]] as const) {
    const document = await get(`${tenant}/.well-known/openid-configuration`)
    t.match(document, { issuer, token_endpoint: `${entra.instance}${tenant}/oauth2/token`, jwks_uri: `${entra.instance}${tenant}/discovery/keys` })
    const { keys } = await get(`${tenant}/discovery/keys`) as { keys: Json[] }
    t.match(keys, [{ kty: 'RSA', kid: String }])
    t.notOk('issuer' in keys[0]!)
  }
  t.match(await get('88888888-8888-4888-8888-888888888888/.well-known/openid-configuration'), { error_codes: [90002] })
  t.match(await get('88888888-8888-4888-8888-888888888888/discovery/keys'), { error_codes: [90002] })
  t.strictSame(new Set(entra.requests.map(({ endpoint }) => endpoint)), new Set(['discovery', 'keys']))
})

t.test('a token of either version verifies with the keys and the issuer of its document', async t => {
  const { entra } = await startUserWorld(t)
  for (const [version, path, audience] of [['1.0', '', 'api://todo'], ['2.0', '/v2.0', clientId]] as const) {
    const { issuer, jwks_uri: jwksUri } = await getOf(entra.instance)(`${tenantId}${path}/.well-known/openid-configuration`)
    t.equal(issuer, entra.issuer(tenantId, version))
    t.match(await jwtVerify(await entra.issueUserToken({ version }), createRemoteJWKSet(new URL(String(jwksUri))), { issuer: String(issuer), audience }), { payload: { ver: version } })
  }
})

t.test('a custom domain is the issuer in its own documents', async t => {
  const { entra } = await startUserWorld(t, { authorityHosts: ['login.contoso.example'] })
  for (const [path, issuer] of [[`${tenantId}/.well-known/openid-configuration`, `https://login.contoso.example/${tenantId}/`], ['common/v2.0/.well-known/openid-configuration', 'https://login.contoso.example/{tenantid}/v2.0']]) {
    const { body } = await request(`https://login.contoso.example/${path}`, { dispatcher: entra.identityDispatcher })
    t.match(await body.json(), { issuer })
  }
})
