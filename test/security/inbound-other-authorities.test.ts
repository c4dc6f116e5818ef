import t from 'tap'
import { MockAgent } from 'undici'
import { startAuthority, type TestAuthority } from '../fixtures/authority.ts'
import { openDoor } from '../fixtures/callers.ts'
import { clientId, tenantId } from '../fixtures/todo-api.ts'
import { otherTenantId } from '../fixtures/users.ts'

/** Microsoft's hosts, whose documents name `issuers` by their paths, and whose keys are those of the authority. */
function hostsOf (t: { teardown (work: () => unknown): unknown }, { keys }: TestAuthority, origin: string, issuers: Record<string, string>, keyIssuer: string | undefined) {
  const agent = new MockAgent()
  agent.disableNetConnect()
  t.teardown(() => agent.close())
  const pool = agent.get(origin)
  for (const [path, issuer] of Object.entries(issuers)) {
    pool.intercept({ path: `${path}.well-known/openid-configuration` }).reply(200, { issuer, token_endpoint: `${origin}${path}token`, jwks_uri: `${origin}/keys` }).persist()
  }
  pool.intercept({ path: /\/keys$/ }).reply(200, { keys: keys.map(({ jwk }) => ({ ...jwk, ...keyIssuer !== undefined && { issuer: keyIssuer } })) }).persist()
  return agent
}

t.test('tokens of Azure AD B2C name their tenant in the issuer alone, and their keys nobody', async t => {
  const authority = await startAuthority(t)
  const origin = 'https://contoso.b2clogin.com'
  const issuer = `${origin}/${tenantId}/v2.0/`
  const identityDispatcher = hostsOf(t, authority, origin, { '/contoso.onmicrosoft.com/b2c_1_susi/v2.0/': issuer }, undefined)
  const { enterWith } = await openDoor(t, { authority, identityDispatcher, section: { Instance: `${origin}/`, TenantId: undefined, Domain: 'contoso.onmicrosoft.com', SignUpSignInPolicyId: 'B2C_1_susi' } })
  const b2c = { iss: issuer, tid: undefined, ver: '1.0', azpacr: undefined }
  t.match(await enterWith(b2c), { tenantId, kind: 'user' })
  await t.resolves(enterWith({ ...b2c, tid: tenantId, ver: undefined }))
  for (const claims of [{ iss: `${origin}/${otherTenantId}/v2.0/` }, { iss: `${origin}/tfp/${tenantId}/b2c_1_susi/v2.0/` }, { tid: otherTenantId }, { tid: null }, { iss: issuer.slice(0, -1) }, { iss: `https://login.microsoftonline.com/${tenantId}/v2.0` }]) {
    await t.rejects(enterWith({ ...b2c, ...claims }), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, message: /of another issuer/ }, JSON.stringify(claims))
  }
})

t.test('tokens of External ID are of the host that bears the tenant', async t => {
  const authority = await startAuthority(t)
  const origin = 'https://contoso.ciamlogin.com'
  const issuer = `https://${tenantId}.ciamlogin.com/${tenantId}/v2.0`
  const identityDispatcher = hostsOf(t, authority, origin, { '/contoso.onmicrosoft.com/v2.0/': issuer }, issuer)
  const { enterWith } = await openDoor(t, { authority, identityDispatcher, section: { Instance: `${origin}/`, TenantId: undefined } })
  t.match(await enterWith({ iss: issuer }), { tenantId })
  for (const claims of [{ iss: `${origin}/${tenantId}/v2.0` }, { iss: issuer, tid: otherTenantId }, { iss: issuer, tid: undefined }]) await t.rejects(enterWith(claims), { code: 'FST_IDW_UNAUTHORIZED', message: /of another issuer/ }, JSON.stringify(claims))
})

t.test('the issuer of External ID and B2C follows from no URL: without their OpenID configuration nobody can be judged, which is no fault of the token', async t => {
  const authority = await startAuthority(t)
  for (const [origin, issuer] of [['https://contoso.ciamlogin.com', `https://${tenantId}.ciamlogin.com/${tenantId}/v2.0`], ['https://contoso.b2clogin.com', `https://contoso.b2clogin.com/${tenantId}/v2.0/`]] as const) {
    const { enterWith } = await openDoor(t, { authority, identityDispatcher: hostsOf(t, authority, origin, {}, issuer), section: { Instance: `${origin}/`, TenantId: tenantId } })
    await t.rejects(enterWith({ iss: issuer }), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503, wwwAuthenticate: undefined }, origin)
  }
  const [host, issuer] = ['login.contoso.example', `https://login.contoso.example/${tenantId}/v2.0`]
  const { enterWith } = await openDoor(t, { authority, identityDispatcher: hostsOf(t, authority, `https://${host}`, {}, issuer), section: { Instance: `https://${host}/`, KnownAuthorities: [host], TenantId: tenantId, SignUpSignInPolicyId: 'B2C_1_susi' } })
  await t.rejects(enterWith({ iss: issuer }), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503 }, 'a domain of its own')
})

t.test('tokens of the public cloud are of login.microsoftonline.com in version 2.0, and of sts.windows.net in version 1.0', async t => {
  const authority = await startAuthority(t)
  const origin = 'https://login.microsoftonline.com'
  const [v2, v1] = [`${origin}/${tenantId}/v2.0`, `https://sts.windows.net/${tenantId}/`]
  const one = { ver: '1.0', aud: `api://${clientId}`, appid: 'x', azp: undefined }
  for (const issuers of [{ [`/${tenantId}/v2.0/`]: v2, [`/${tenantId}/`]: v1 }, { [`/${tenantId}/v2.0/`]: v2 }, {}] as Record<string, string>[]) {
    const { enterWith } = await openDoor(t, { authority, identityDispatcher: hostsOf(t, authority, origin, issuers, v2), section: { Instance: `${origin}/` } })
    await t.resolves(enterWith({ iss: v2 }))
    await t.resolves(enterWith({ ...one, iss: v1 }), 'also where a document is not there')
    for (const claims of [{ iss: v1 }, { ...one, iss: v2 }, { iss: `${v2}/` }, { ...one, iss: v1.slice(0, -1) }, { ...one, iss: `https://sts.windows.net/${otherTenantId}/` }]) await t.rejects(enterWith(claims), { code: 'FST_IDW_UNAUTHORIZED', message: /of another issuer/ }, JSON.stringify(claims))
  }
})

t.test('a key that does not say whose it is signs for the tenant that its issuer names, and for nobody where that names none', async t => {
  const authority = await startAuthority(t)
  const origin = 'https://login.microsoftonline.com'
  const one = { ver: '1.0', aud: `api://${clientId}`, appid: 'x', azp: undefined, iss: `https://sts.windows.net/${tenantId}/` }
  for (const [v2, isLetIn] of [[`${origin}/${tenantId}/v2.0`, true], [`${origin}/${otherTenantId}/v2.0`, false], [`${origin}/{tenantid}/v2.0`, false], [`${origin}/of-{tenantid}/v2.0`, false], [`${origin}/v2.0`, false]] as const) {
    const identityDispatcher = hostsOf(t, authority, origin, { '/organizations/v2.0/': v2, '/organizations/': 'https://sts.windows.net/{tenantid}/' }, undefined)
    const { enterWith } = await openDoor(t, { authority, identityDispatcher, section: { Instance: `${origin}/`, TenantId: 'common' }, inbound: { tenants: ['any'] } })
    if (isLetIn) await t.resolves(enterWith(one), v2)
    else await t.rejects(enterWith(one), { code: 'FST_IDW_UNAUTHORIZED', message: /its key is of another issuer/ }, v2)
  }
})

t.test('an OpenID configuration that must not be used lets nobody in', async t => {
  const { authority, enter } = await openDoor(t)
  authority.document['issuer'] = 'https://evil.example/'
  await t.rejects(enter(await authority.sign()), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503, wwwAuthenticate: undefined })

  const elsewhere = await openDoor(t)
  elsewhere.authority.document['jwks_uri'] = 'https://evil.example/keys'
  await t.resolves(elsewhere.enter(await elsewhere.authority.sign()), 'keys are asked for where the authority is, and nowhere else')
})
