import t from 'tap'
import { decodeJwt } from 'jose'
import { apiClientId, clientId, secret, tenantId } from '../../fixtures/todo-api.ts'
import { orders, ordersClientId, startUserWorld } from '../../fixtures/users.ts'

const ada = '77777777-7777-4777-8777-777777777777'
const bob = '88888888-8888-4888-8888-888888888888'
const graph = 'https://graph.microsoft.com'
const guid = /^[0-9a-f-]{36}$/

const accepted = { status: 200 }
const asking = (error: string, aadsts: number, suberror: string | undefined) => ({ status: 400, body: { error, error_codes: [aadsts], suberror, error_description: new RegExp(`^AADSTS${aadsts}: `), trace_id: String, correlation_id: String, timestamp: String } })
const lackingConsent = asking('invalid_grant', 65001, 'consent_required')
const lackingMfa = asking('interaction_required', 50076, 'basic_action')
const lackingAcrs = asking('interaction_required', 50158, 'basic_action')
const revoked = asking('invalid_grant', 50173, 'bad_token')
const disabled = asking('invalid_grant', 50057, undefined)

t.test('consent is lacking until the rule is withdrawn', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const assertion = await entra.issueUserToken()
  const withdraw = entra.requireConsent({ clientId })

  const { status, body } = await exchange(assertion)
  t.match({ status, body }, lackingConsent)
  t.notOk('claims' in body)

  withdraw()
  withdraw()
  t.match(await exchange(assertion), accepted)
})

t.test('consent may be lacking for one client, one API, one user', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.registerApp({ clientId: apiClientId, tenantId, secrets: [secret], exposes: 'api://other' })
  const other = { client_id: apiClientId }
  entra.requireConsent({ clientId, resource: `${graph}/`, objectId: ada.toUpperCase() })

  t.match(await exchange(await entra.issueUserToken({ objectId: ada }), { scope: `${graph}/.default` }), lackingConsent)
  t.match(await exchange(await entra.issueUserToken({ objectId: ada })), accepted, 'another API')
  t.match(await exchange(await entra.issueUserToken({ objectId: bob }), { scope: `${graph}/.default` }), accepted, 'another user')
  t.match(await exchange(await entra.issueUserToken({ objectId: ada, audience: 'api://other' }), { ...other, scope: `${graph}/.default` }), accepted, 'another client')
})

t.test('a second factor is asked for with claims, and who has one passes', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const withdraw = entra.requireMfa()

  const { status, body } = await exchange(await entra.issueUserToken())
  t.match({ status, body }, lackingMfa)
  const claims = JSON.parse(String(body['claims']))
  t.match(claims, { access_token: { capolids: { essential: true, values: [guid] } } })
  t.match((await exchange(await entra.issueUserToken())).body['claims'], body['claims'], 'the policy is the same')

  const withMfa = await entra.issueUserToken({ amr: ['pwd', 'mfa'] })
  t.match(await exchange(withMfa), accepted)
  t.match(decodeJwt(String((await exchange(withMfa, { claims: String(body['claims']) })).body['access_token'])), { amr: ['pwd', 'mfa'], capolids: claims.access_token.capolids.values })

  withdraw()
  t.match(await exchange(await entra.issueUserToken()), accepted)
})

t.test('a second factor may be needed for one API, by its id or its URI, and one user', async t => {
  const { entra, exchange } = await startUserWorld(t)
  for (const resource of [orders, ordersClientId.toUpperCase(), `${orders}/`]) {
    const withdraw = entra.requireMfa({ resource, objectId: ada })
    t.match(await exchange(await entra.issueUserToken({ objectId: ada })), lackingMfa, resource)
    t.match(await exchange(await entra.issueUserToken({ objectId: bob })), accepted)
    t.match(await exchange(await entra.issueUserToken({ objectId: ada }), { scope: `${graph}/.default` }), accepted)
    withdraw()
  }
})

t.test('a policy that is asked for by claims is judged for any API', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.requireMfa({ resource: graph })
  const { body } = await exchange(await entra.issueUserToken(), { scope: `${graph}/.default` })
  const claims = String(body['claims'])

  t.match(await exchange(await entra.issueUserToken(), { claims }), lackingMfa)
  t.match(await exchange(await entra.issueUserToken({ amr: ['mfa'] }), { claims }), accepted)
})

t.test('an authentication context is asked for with claims, and who meets it passes', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const withdraw = entra.requireAcrs({ resource: orders, acrs: 'c1' })

  const { status, body } = await exchange(await entra.issueUserToken())
  t.match({ status, body }, lackingAcrs)
  t.strictSame(JSON.parse(String(body['claims'])), { access_token: { acrs: { essential: true, value: 'c1' } } })
  t.match(await exchange(await entra.issueUserToken(), { scope: `${graph}/.default` }), accepted, 'another API')

  const stepped = await exchange(await entra.issueUserToken({ acrs: ['c1'] }))
  t.match(decodeJwt(String(stepped.body['access_token'])), { acrs: ['c1'] })

  withdraw()
  t.match(await exchange(await entra.issueUserToken()), accepted)
})

t.test('of several authentication contexts, the first that is lacking is asked for', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.requireAcrs({ resource: orders, acrs: ['c1', 'c2'] })
  t.match(await exchange(await entra.issueUserToken({ acrs: ['c1'] })), { status: 400, body: { claims: /"c2"/ } })
  t.match(await exchange(await entra.issueUserToken({ acrs: ['c2', 'c1'] })), accepted)
})

t.test('an API that asks for an authentication context by claims gets a token that has it, or the user is asked', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const claims = '{"access_token":{"acrs":{"essential":true,"value":"c3"},"nbf":{"essential":true,"value":"1700000000"},"xms_cc":{"values":["cp1"]}}}'

  const { status, body } = await exchange(await entra.issueUserToken(), { claims })
  t.match({ status, body }, lackingAcrs)
  t.strictSame(JSON.parse(String(body['claims'])), { access_token: { acrs: { essential: true, value: 'c3' } } })

  const granted = await exchange(await entra.issueUserToken({ acrs: ['c1', 'c3'] }), { claims })
  t.match(decodeJwt(String(granted.body['access_token'])), { acrs: ['c1', 'c3'], xms_cc: ['cp1'] })
})

t.test('claims that are not essential, or say nothing, are no obstacle', async t => {
  const { entra, exchange } = await startUserWorld(t)
  for (const claims of ['{"access_token":{"acrs":{"value":"c3"}}}', '{"access_token":{"acrs":{"essential":true}}}', '{"access_token":{"acrs":null,"capolids":{"essential":false,"values":["x"]}}}', '{"id_token":{}}']) {
    t.match(await exchange(await entra.issueUserToken(), { claims }), accepted, claims)
  }
})

t.test('a user whose sessions are revoked has to sign in again: what was issued before is refused, what comes after is not', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const [before, ofBob] = [await entra.issueUserToken({ objectId: ada }), await entra.issueUserToken({ objectId: bob })]
  const withdraw = entra.revokeUser(ada.toUpperCase())
  const after = await entra.issueUserToken({ objectId: ada })

  t.match(await exchange(before), revoked)
  t.match(await exchange(ofBob), accepted)
  t.match(await exchange(after), accepted)

  withdraw()
  t.match(await exchange(before), accepted)
})

t.test('a token whose uti a test has made up is taken for one from before', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.revokeUser(ada)
  for (const uti of ['made up', undefined]) t.match(await exchange(await entra.issueUserToken({ objectId: ada, claims: { uti } })), revoked)
})

t.test('a user whose account is disabled gets nothing, until it is enabled', async t => {
  const { entra, exchange } = await startUserWorld(t)
  const enable = entra.disableUser(ada)
  t.match(await exchange(await entra.issueUserToken({ objectId: ada })), disabled)
  t.match(await exchange(await entra.issueUserToken({ objectId: bob })), accepted)
  enable()
  t.match(await exchange(await entra.issueUserToken({ objectId: ada })), accepted)
})

t.test('who is not let in is not asked for more, whichever rule came first', async t => {
  const { entra, exchange } = await startUserWorld(t)
  entra.requireMfa()
  entra.requireConsent({ clientId })
  const assertion = await entra.issueUserToken({ objectId: ada })
  const enable = entra.disableUser(ada)
  t.match(await exchange(assertion), disabled)
  enable()
  entra.revokeUser(ada)
  t.match(await exchange(assertion), revoked)
})

t.test('the rules are for users: an app is not asked for anything', async t => {
  const { entra, ask } = await startUserWorld(t)
  entra.requireMfa()
  entra.requireConsent({ clientId })
  t.match(await ask({ grant_type: 'client_credentials', scope: `${orders}/.default` }), accepted)
})

t.test('arguments that are not right are refused by name', async t => {
  const { entra } = await startUserWorld(t)
  for (const [call, message] of [
    [() => entra.requireConsent({} as never), /requireConsent: clientId/],
    [() => entra.requireConsent({ clientId, api: orders } as never), /requireConsent: api/],
    [() => entra.requireMfa({ objectId: 'ada' }), /requireMfa: objectId: expected a GUID/],
    [() => entra.requireAcrs({ resource: orders, acrs: 1 } as never), /requireAcrs: acrs: expected text, or a list of texts/],
    [() => entra.requireAcrs({ acrs: 'c1' } as never), /requireAcrs: resource/],
    [() => entra.revokeUser('ada'), /revokeUser: objectId: expected a GUID/],
    [() => entra.disableUser(1 as never), /disableUser: objectId/],
  ] as const) t.throws(call, { name: 'TypeError', message })
})
