import t from 'tap'
import { PERSONAL_ACCOUNTS } from '../../lib/inbound/inbound-configuration.ts'
import { startAuthority } from '../fixtures/authority.ts'
import { buildProtected, openDoor } from '../fixtures/callers.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { clientId, tenantId } from '../fixtures/todo-api.ts'
import { otherTenantId } from '../fixtures/users.ts'

const refused = (why: RegExp) => ({ code: 'FST_IDW_UNAUTHORIZED', statusCode: 401, wwwAuthenticate: /^Bearer error="invalid_token", error_description="/, message: why })

t.test('the audience is exact: one of those that the API has, alone or among others', async t => {
  const door = await openDoor(t)
  for (const aud of [clientId, `api://${clientId}`, ['else', clientId], [`api://${clientId}`]]) await t.resolves(door.enterWith({ aud }), String(aud))
  for (const aud of [`${clientId}-evil`, `api://${clientId}-evil`, `API://${clientId}`, `api://${clientId}/`, `api://${clientId}/x`, ` ${clientId}`, clientId.slice(0, -1), ['other'], [], [[[clientId]]], {}, { [clientId]: 1 }, '', null, 7, true, undefined, '00000003-0000-0000-c000-000000000000']) {
    await t.rejects(door.enterWith({ aud }), refused(/for another API/), JSON.stringify(aud))
  }
  const listed = await openDoor(t, { authority: door.authority, inbound: { audiences: ['api://todo'] } })
  await t.resolves(listed.enterWith({ aud: 'api://todo' }))
  await t.rejects(listed.enterWith({ aud: clientId }), refused(/for another API/))
  const ofSection = await openDoor(t, { authority: door.authority, section: { Audience: 'api://one', Audiences: ['api://two'] } })
  for (const aud of ['api://one', 'api://two']) await t.resolves(ofSection.enterWith({ aud }))
  await t.rejects(ofSection.enterWith({ aud: clientId }), refused(/for another API/))
})

t.test('the issuer is exact, and of the tenant that the token names', async t => {
  const { authority, enterWith } = await openDoor(t)
  const v1 = { ver: '1.0', appid: 'x', appidacr: '1' }
  await t.resolves(enterWith({ ...v1, iss: authority.issuer(tenantId, '1.0') }))
  const other = { tid: otherTenantId }
  const wrong: Record<string, unknown>[] = [
    other, { ...other, iss: authority.issuer(otherTenantId) }, { iss: authority.issuer(otherTenantId) }, { iss: authority.issuer(tenantId, '1.0') }, { ...v1, iss: authority.issuer() }, { iss: `${authority.issuer()}/` }, { iss: authority.issuer().toUpperCase() },
    { iss: `https://sts.windows.net/${tenantId}/` }, { iss: `https://login.microsoftonline.com/${tenantId}/v2.0` }, { ...v1, iss: `https://sts.windows.net/${tenantId}/` }, { iss: authority.issuer('{tenantid}') }, { tid: '{tenantid}' }, { tid: '{tenantid}', iss: authority.issuer('{tenantid}') },
    { iss: [authority.issuer()] }, { iss: null }, { iss: undefined }, { iss: 7 }, { tid: undefined }, { tid: null }, { tid: [tenantId] }, { tid: '' }, { tid: '$&' }, { tid: tenantId.toUpperCase().replace('1', 'A') },
  ]
  for (const claims of wrong) await t.rejects(enterWith(claims), refused(/of another issuer/), JSON.stringify(claims))
  for (const ver of ['3.0', '', 2, null, ['2.0'], '2']) await t.rejects(enterWith({ ver }), refused(/its version is not known/), JSON.stringify(ver))
  await t.resolves(enterWith({ ver: undefined }), 'without a version it is held to what 2.0 demands')
})

t.test('several tenants are taken when they are listed, any but personal accounts when that is spelled out', async t => {
  const authority = await startAuthority(t)
  const of = (tid: string) => ({ tid, iss: authority.issuer(tid) })
  const third = '12345678-1234-4234-8234-123456789abc'
  const listed = await openDoor(t, { authority, inbound: { tenants: [tenantId.toUpperCase(), otherTenantId] } })
  for (const tid of [tenantId, otherTenantId]) t.match(await listed.enterWith(of(tid)), { tenantId: tid })
  for (const tid of [third, PERSONAL_ACCOUNTS]) await t.rejects(listed.enterWith(of(tid)), refused(/of a tenant that may not call/))
  await t.rejects(listed.enterWith({ ...of(otherTenantId), iss: authority.issuer(tenantId) }), refused(/of another issuer/), 'the issuer is of A, and the tenant B')
  t.ok(authority.requests.every(path => path.startsWith('/organizations/')))

  const any = await openDoor(t, { authority, section: { TenantId: 'common' }, inbound: { tenants: ['any'] } })
  for (const tid of [tenantId, third]) await t.resolves(any.enterWith(of(tid)))
  await t.rejects(any.enterWith(of(PERSONAL_ACCOUNTS)), refused(/of a tenant that may not call/))
  await t.rejects(any.enterWith(of('{tenantid}')), refused(/of another issuer/), 'what stands for a tenant is none')
  await t.rejects(any.enterWith({ tid: 'contoso.example', iss: authority.issuer('contoso.example') }), refused(/of another issuer/))

  const withPersonal = await openDoor(t, { authority, section: { TenantId: 'common' }, inbound: { tenants: [tenantId, PERSONAL_ACCOUNTS] } })
  await t.resolves(withPersonal.enterWith(of(PERSONAL_ACCOUNTS)))
  await t.rejects(withPersonal.enterWith(of(third)), refused(/of a tenant that may not call/))
})

t.test('another tenant alone may be listed than that of the app section', async t => {
  const { authority, enterWith } = await openDoor(t, { inbound: { tenants: [otherTenantId] } })
  await t.resolves(enterWith({ tid: otherTenantId, iss: authority.issuer(otherTenantId) }))
  await t.rejects(enterWith(), refused(/of another issuer/))
  t.ok(authority.requests.every(path => path.startsWith(`/${otherTenantId}/`)))
})

t.test('a tenant that goes by its domain name is the one that its OpenID configuration tells', async t => {
  const { authority, enterWith } = await openDoor(t, { section: { TenantId: 'Contoso.example' } })
  t.match(await enterWith(), { tenantId })
  await t.resolves(enterWith({ ver: '1.0', appid: 'x', iss: authority.issuer(tenantId, '1.0') }))
  await t.rejects(enterWith({ tid: otherTenantId, iss: authority.issuer(otherTenantId) }), refused(/of another issuer/))

  const silent = await openDoor(t, { section: { TenantId: 'contoso.example' } })
  silent.authority.documentMood = 'down'
  await t.rejects(silent.enter(await silent.authority.sign()), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 503, wwwAuthenticate: undefined }, 'nobody knows whose the tenant is')
})

t.test('an authority that names no tenant, where the section names one, opens the door to nobody', async t => {
  const { authority, enterWith } = await openDoor(t, { section: { TenantId: 'contoso.example' } })
  authority.document['issuer'] = authority.issuer('{tenantid}')
  await t.rejects(enterWith(), refused(/of a tenant that may not call/))
})

t.test('an issuer binds the tenant wherever and however the authority writes its place', async t => {
  const authority = await startAuthority(t)
  for (const place of ['{TenantId}', '{tenantid}/{tenantid}']) {
    const issuer = authority.issuer(place)
    authority.document['issuer'] = issuer
    authority.keys.splice(0)
    await authority.addKey({ issuer })
    const { enterWith } = await openDoor(t, { authority, section: { TenantId: 'common' }, inbound: { tenants: ['any'] } })
    const of = (tid: string) => authority.issuer(place.replace(/\{tenantid\}/gi, tid))
    t.match(await enterWith({ iss: of(tenantId) }), { tenantId })
    for (const iss of [issuer, authority.issuer(place.replace('{tenantid}', tenantId)), of(otherTenantId)]) {
      await t.rejects(enterWith({ iss }), refused(/of another issuer/), iss)
    }
  }
})

t.test('a token ends with exp and begins with nbf, by the tolerance; what is no time is refused', async t => {
  for (const clockTolerance of [60, 0, 300]) {
    const clock = new FakeClock(1_800_000_000_000)
    const now = clock.now() / 1000
    const { enterWith } = await openDoor(t, { clock, inbound: { clockTolerance } })
    const times = { exp: now + 3600, nbf: now, iat: now }

    await t.resolves(enterWith({ ...times, exp: now - clockTolerance + 1 }))
    await t.rejects(enterWith({ ...times, exp: now - clockTolerance }), refused(/it has expired/), 'at exp and the tolerance')
    await t.resolves(enterWith({ ...times, exp: now - clockTolerance + 0.5 }))
    await t.resolves(enterWith({ ...times, nbf: now + clockTolerance }))
    await t.rejects(enterWith({ ...times, nbf: now + clockTolerance + 1 }), refused(/it is not valid yet/))
    await t.resolves(enterWith({ ...times, iat: now + clockTolerance }))
    await t.rejects(enterWith({ ...times, iat: now + clockTolerance + 1 }), refused(/it was issued in the future/))
    await t.resolves(enterWith({ exp: times.exp, nbf: undefined, iat: undefined }), 'only its end is needed')
  }
  const { enterWith } = await openDoor(t)
  for (const value of ['1800000000', Number.NaN, 1e99, -1, null, [], {}, true, '']) {
    await t.rejects(enterWith({ exp: value }), refused(/it does not say when it ends/), `exp ${String(value)}`)
    await t.rejects(enterWith({ nbf: value }), refused(/it is not valid yet/), `nbf ${String(value)}`)
    await t.rejects(enterWith({ iat: value }), refused(/it was issued in the future/), `iat ${String(value)}`)
  }
  await t.rejects(enterWith({ exp: undefined }), refused(/it does not say when it ends/))
  await t.rejects(enterWith({ exp: 0 }), refused(/it has expired/))
  await t.resolves(enterWith({ exp: 8_640_000_000_000 }))
})

t.test('what is no access token is refused: an ID token names no app that it was given to', async t => {
  const { authority, enter, enterWith } = await openDoor(t)
  const idToken = authority.user({ azp: undefined, azpacr: undefined, scp: undefined, nonce: 'n' })
  await t.rejects(enter(await authority.sign(idToken)), refused(/it is no access token/))
  await t.rejects(enter(await authority.sign({ ...idToken, roles: ['Todo.Run'] })), refused(/it is no access token/), 'the roles of a user are in ID tokens, too')
  for (const azp of ['', null, 7, ['x'], {}]) await t.rejects(enterWith({ azp }), refused(/it is no access token/), JSON.stringify(azp))
  await t.rejects(enterWith({ azp: undefined, appid: 'x' }), refused(/it is no access token/), 'version 2.0 has azp')
  await t.rejects(enterWith({ ver: '1.0', iss: authority.issuer(tenantId, '1.0') }), refused(/it is no access token/), 'version 1.0 has appid')
})

t.test('a refresh token and a token of Microsoft Graph, whose signature is of another nonce, are refused', async t => {
  const { authority, enter } = await openDoor(t)
  for (const opaque of ['1.AXoA_refresh-token', 'M.C123_BAY.0.U.-abc', '0.AAAA.BBBB']) await t.rejects(enter(opaque), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 }, opaque)
  const claims = authority.user({ aud: '00000003-0000-0000-c000-000000000000' })
  await t.rejects(enter(await authority.sign(claims, { nonce: 'n' })), refused(/for another API/))
  // What Graph's clients get has the nonce in the header, and is signed as if its hash stood there.
  const [, payload, signature] = (await authority.sign(claims, { nonce: 'hash of n' })).split('.')
  const header = Buffer.from(JSON.stringify({ typ: 'JWT', nonce: 'n', alg: 'RS256', kid: authority.keys[0]!.kid })).toString('base64url')
  await t.rejects(enter(`${header}.${payload}.${signature}`), refused(/its signature does not hold/))
})

t.test('a user who has app roles and no scope is no app, also where the token does not say whose it is', async t => {
  const { authority, enterWith } = await openDoor(t)
  const roles = { scp: undefined, roles: ['Todo.Run'] }
  const v1 = { ver: '1.0', iss: authority.issuer(tenantId, '1.0'), appid: 'x' }
  for (const claims of [{ preferred_username: 'ada@contoso.example' }, { ...v1, amr: ['pwd'] }, { ...v1, upn: 'ada@contoso.example' }, { ...v1, unique_name: 'ada@contoso.example' }]) await t.rejects(enterWith({ ...roles, ...claims }), refused(/it has no scope/), JSON.stringify(claims))
  t.match(await enterWith(roles), { kind: 'app' })
  t.match(await enterWith({ ...roles, idtyp: 'app' }), { kind: 'app' })
})

t.test('scopes are of users and roles of apps, and neither stands for the other', async t => {
  const { authority, callWith, call } = await buildProtected(t)
  const insufficient = (scope?: string) => ({ status: 403, body: { code: 'FST_IDW_FORBIDDEN' }, challenge: scope === undefined ? /^Bearer error="insufficient_scope", error_description="[^"]+"$/ : `scope="${scope}"` })

  t.match(await callWith({}, '/read'), { status: 200, body: { user: { scp: 'Todo.Read Todo.Write' } } })
  for (const scp of ['Todo.ReadWrite', 'todo.read', 'Todo.Rea', 'Todo.Read.All', 'Todo.Read,Todo.Write', 'Todo.Write\tTodo.Read', 'xTodo.Read']) t.match(await callWith({ scp }, '/read'), { status: 403, challenge: /scope="Todo.Read"$/ }, scp)
  t.match(await callWith({ scp: '  Todo.Write   Todo.Read ' }, '/read'), { status: 200 })
  t.match(await callWith({ scp: 'Todo.Write', roles: ['Todo.Read'] }, '/read'), { status: 403 }, 'a role is no scope')
  t.match(await call(await authority.sign(authority.app({ roles: ['Todo.Read'] })), '/read'), { status: 403, challenge: /scope="Todo.Read"/ }, 'an app has no scopes')
  t.match(await call(await authority.sign(authority.app({ scp: 'Todo.Read' })), '/read'), { status: 403 }, 'nor when it says so')

  t.match(await call(await authority.sign(authority.app()), '/run'), { status: 200 })
  t.match(await call(await authority.sign(authority.app({ idtyp: undefined })), '/run'), { status: 200 })
  t.match(await callWith({ scp: 'Todo.Run' }, '/run'), insufficient(), 'a scope is no role')
  t.match(await callWith({ roles: ['Todo.Run'] }, '/run'), insufficient(), 'a role of a user is not that of an app')
  t.match(await callWith({ roles: ['Todo.Run'], idtyp: 'user' }, '/run'), insufficient())
  for (const roles of [['Todo.Run2'], ['todo.run'], ['']]) t.match(await call(await authority.sign(authority.app({ roles })), '/run'), insufficient(), String(roles))
})

t.test('a token with neither scopes nor roles, or with what is neither, lets do nothing, and is never an error of the server', async t => {
  const { enterWith } = await openDoor(t)
  for (const scp of [undefined, '', '   ', null, 7, ['Todo.Read'], {}]) await t.rejects(enterWith({ scp }), refused(/it has no app role/), JSON.stringify(scp))
  for (const roles of [undefined, null, 'Todo.Run', {}, [], [7, null, {}], { 0: 'Todo.Run', length: 1 }]) await t.rejects(enterWith({ scp: undefined, roles, idtyp: 'app' }), refused(/it has no app role/), JSON.stringify(roles))
  await t.rejects(enterWith({ scp: undefined, roles: ['Todo.Run'], idtyp: 'user' }), refused(/it has no scope/), 'a user without scopes is no app')
  await t.rejects(enterWith({ scp: undefined, roles: ['Todo.Run'], idtyp: 'device' }), refused(/it has no scope/))
  t.match(await enterWith({ roles: ['a', 7, 'b', null] }), { kind: 'user', roles: ['a', 'b'], scopes: ['Todo.Read', 'Todo.Write'] })
})

t.test('only listed apps may call, and only those that prove themselves where public clients are kept out', async t => {
  const authority = await startAuthority(t)
  const app = 'ABCDEFAB-0000-4000-8000-000000000001'
  const listed = await openDoor(t, { authority, inbound: { clients: [app] } })
  const v1 = { ver: '1.0', iss: authority.issuer(tenantId, '1.0'), azp: undefined }
  for (const claims of [{ azp: app }, { azp: app.toLowerCase() }, { ...v1, appid: app.toLowerCase() }]) await t.resolves(listed.enterWith(claims))
  for (const claims of [{}, { azp: `${app}0` }, { appid: app }, { ...v1, appid: clientId }]) await t.rejects(listed.enterWith(claims), refused(/it was given to an app that may not call/), JSON.stringify(claims))

  const confidential = await openDoor(t, { authority, inbound: { publicClients: false } })
  for (const azpacr of ['1', '2']) await t.resolves(confidential.enterWith({ azpacr }))
  for (const azpacr of ['0', undefined, null, 1, '', '3']) await t.rejects(confidential.enterWith({ azpacr }), refused(/it was given to an app that has not proved itself/), JSON.stringify(azpacr))
  await t.resolves(confidential.enterWith({ ...v1, appid: 'x', appidacr: '2' }))
  await t.rejects(confidential.enterWith({ ...v1, appid: 'x', appidacr: '0', azpacr: '1' }), refused(/has not proved itself/))
  await t.resolves((await openDoor(t, { authority })).enterWith({ azpacr: '0' }))
})

t.test('claims are what the token says and nothing else: frozen, at any depth, and names of prototypes do no harm', async t => {
  const { authority, enter } = await openDoor(t)
  const user = JSON.stringify(authority.user()).slice(1)
  for (const name of ['__proto__', String.raw`\u005f_proto__`]) {
    const { claims } = await enter(await authority.sign(`{"${name}": {"polluted": true}, "constructor": "x", "deep": {"er": [{"${name}": {"polluted": true}}]}, ${user}`))
    const deep = (claims as unknown as { deep: { er: object[] } }).deep
    for (const copied of [claims, deep.er[0]!]) {
      t.equal(Object.getPrototypeOf(copied), Object.prototype)
      t.equal((Object.assign({}, copied) as { polluted?: boolean }).polluted, undefined, 'nor do copies take it on')
    }
    t.equal(({} as { polluted?: boolean }).polluted, undefined)
    t.throws(() => { (claims as { scp: string }).scp = 'All' }, TypeError)
    t.throws(() => { deep.er.push({}) }, TypeError)
  }
  await t.resolves(enter(await authority.sign(`{"deep": ${'['.repeat(5_000)}${']'.repeat(5_000)}, ${user}`)))

  for (const payload of ['[]', 'null', '7', '"x"', '{', '{"exp":NaN}', `${'['.repeat(4_000)}${']'.repeat(4_000)}`, `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`]) {
    await t.rejects(enter(await authority.sign(payload)), { code: 'FST_IDW_UNAUTHORIZED', statusCode: 401 }, payload.slice(0, 20))
  }
})
