import t from 'tap'
import * as errors from '../../lib/errors.ts'
import * as core from '../../lib/core.ts'
import * as plugin from '../../plugins/index.ts'

const cause = new Error('the reason')
const downstream = { status: 418, headers: new Headers({ 'x-reason': 'teapot' }), body: 'short and stout' }
const { IdentityWebError, ...classes } = errors

/** Every class that is exported: how it is made, its code, and the status that Fastify answers. */
const table: Record<keyof typeof classes, [make: () => errors.IdentityWebError, code: errors.IdentityWebErrorCode, statusCode: number]> = {
  ConfigurationError: [() => new errors.ConfigurationError(['a: is missing'], { cause }), 'FST_IDW_CONFIG_INVALID', 500],
  UnknownApiError: [() => new errors.UnknownApiError('message', { cause }), 'FST_IDW_UNKNOWN_API', 500],
  NoAuthorityError: [() => new errors.NoAuthorityError('message', { cause }), 'FST_IDW_NO_AUTHORITY', 500],
  CredentialNotLoadedError: [() => new errors.CredentialNotLoadedError('message', { cause }), 'FST_IDW_CREDENTIAL_NOT_LOADED', 500],
  ScopeNotDefaultError: [() => new errors.ScopeNotDefaultError('message', { cause }), 'FST_IDW_SCOPE_NOT_DEFAULT', 500],
  TenantRequiredError: [() => new errors.TenantRequiredError('message', { cause }), 'FST_IDW_TENANT_REQUIRED', 500],
  IdentityNotAllowedError: [() => new errors.IdentityNotAllowedError('message', { cause }), 'FST_IDW_IDENTITY_NOT_ALLOWED', 500],
  UserTokenRequiredError: [() => new errors.UserTokenRequiredError('message', { cause }), 'FST_IDW_USER_TOKEN_REQUIRED', 401],
  UnauthorizedError: [() => new errors.UnauthorizedError('message', { statusCode: 401 }, { cause }), 'FST_IDW_UNAUTHORIZED', 401],
  ForbiddenError: [() => new errors.ForbiddenError('message', { wwwAuthenticate: 'Bearer' }, { cause }), 'FST_IDW_FORBIDDEN', 403],
  UrlNotAllowedError: [() => new errors.UrlNotAllowedError('message', { cause }), 'FST_IDW_URL_NOT_ALLOWED', 500],
  TokenAcquisitionError: [() => new errors.TokenAcquisitionError('message', { retryable: false }, { cause }), 'FST_IDW_TOKEN_ACQUISITION_FAILED', 500],
  ChallengeUserError: [() => new errors.ChallengeUserError('message', { wwwAuthenticate: 'Bearer', scopes: [] }, { cause }), 'FST_IDW_CHALLENGE_USER', 401],
  DownstreamStatusError: [() => new errors.DownstreamStatusError('message', downstream, { cause }), 'FST_IDW_DOWNSTREAM_STATUS', 502],
  DownstreamBodyError: [() => new errors.DownstreamBodyError('message', { cause }), 'FST_IDW_DOWNSTREAM_BODY', 502],
  DownstreamUnreachableError: [() => new errors.DownstreamUnreachableError('message', { cause }), 'FST_IDW_DOWNSTREAM_UNREACHABLE', 502],
  DownstreamTimeoutError: [() => new errors.DownstreamTimeoutError('message', { cause }), 'FST_IDW_DOWNSTREAM_TIMEOUT', 504],
}

t.test('every exported class has a stable code, a status, its own name, and keeps its cause', async t => {
  t.strictSame(Object.keys(table).sort(), Object.keys(classes).sort(), 'each has a row')
  for (const [name, [make, code, statusCode]] of Object.entries(table)) {
    const error = make()
    t.match(error, { name, code, statusCode, stack: RegExp(`^${name}: `) })
    t.equal(error.cause, cause, name)
    for (const type of [Error, IdentityWebError, classes[name as keyof typeof classes]]) t.ok(error instanceof type, `${name} is a ${type.name}`)
  }
})

t.test('both entry points export the same classes', async t => {
  for (const [name, type] of Object.entries(errors)) {
    t.equal(plugin[name as keyof typeof errors], type, name)
    t.equal(core[name as keyof typeof errors], type, name)
  }
})

t.test('an error without a cause has none', async t => {
  for (const error of [new errors.UnknownApiError('message'), new errors.ConfigurationError([]), new errors.TokenAcquisitionError('message', { retryable: true }), new errors.DownstreamStatusError('message', downstream)]) t.notOk('cause' in error, error.name)
})

t.test('a configuration error has each fault on a line of its message', async t => {
  t.equal(new errors.ConfigurationError(['a: is missing']).message, 'The configuration has a fault:\n- a: is missing')
  const error = new errors.ConfigurationError(['a: is missing', 'b: unknown key'])
  t.equal(error.message, 'The configuration has 2 faults:\n- a: is missing\n- b: unknown key')
  t.strictSame(error.faults, ['a: is missing', 'b: unknown key'])
})

t.test('a failed acquisition is 503 when it may succeed later, and tells what is known of it', async t => {
  const known = { errorCodes: [7000215], correlationId: 'c', traceId: 't', retryAfter: 5 }

  t.match(new errors.TokenAcquisitionError('message', { ...known, retryable: true }), { ...known, statusCode: 503, retryable: true })
  t.match(new errors.TokenAcquisitionError('message', { retryable: false }), { errorCodes: [], correlationId: undefined, traceId: undefined, retryAfter: undefined, statusCode: 500, retryable: false })
})

t.test('a challenge has the header to send, also where Fastify looks for it, and what is known of why', async t => {
  const known = { claims: '{"a":1}', errorCodes: [50076], oauthError: 'interaction_required', suberror: 'basic_action', correlationId: 'c', traceId: 't' }
  const challenge = { wwwAuthenticate: 'Bearer error="insufficient_claims"', scopes: ['api://todo/.default'] }

  t.match(new errors.ChallengeUserError('message', { ...challenge, ...known }), { ...challenge, ...known, headers: { 'www-authenticate': challenge.wwwAuthenticate } })
  t.ok(Object.keys(new errors.ChallengeUserError('message', challenge)).includes('headers'))
  t.match(new errors.ChallengeUserError('message', challenge), { claims: undefined, errorCodes: [], oauthError: undefined, suberror: undefined, correlationId: undefined, traceId: undefined })
})

t.test('a status error has what the API answered', async t => {
  t.match(new errors.DownstreamStatusError('message', downstream), { downstream: { status: 418, body: 'short and stout' } })
})
