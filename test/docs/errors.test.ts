import t from 'tap'
import * as errors from '../../lib/errors.ts'
import { pageOf } from './pages.ts'

// Each class, in each of the states that decide about its status.
const each = [
  new errors.ConfigurationError(['a fault']),
  new errors.UnknownApiError(''),
  new errors.NoAuthorityError(''),
  new errors.CredentialNotLoadedError(''),
  new errors.ScopeNotDefaultError(''),
  new errors.TenantRequiredError(''),
  new errors.IdentityNotAllowedError(''),
  new errors.UserTokenRequiredError(''),
  new errors.UrlNotAllowedError(''),
  new errors.TokenAcquisitionError('', { retryable: true }),
  new errors.TokenAcquisitionError('', { retryable: false }),
  new errors.ChallengeUserError('', { wwwAuthenticate: '', scopes: [] }),
  new errors.DownstreamStatusError('', { status: 404, headers: new Headers(), body: '' }),
  new errors.DownstreamBodyError(''),
  new errors.DownstreamUnreachableError(''),
  new errors.DownstreamTimeoutError(''),
  new errors.UnauthorizedError('', { statusCode: 401 }),
  new errors.UnauthorizedError('', { statusCode: 400 }),
  new errors.UnauthorizedError('', { statusCode: 503 }),
  new errors.ForbiddenError('', { wwwAuthenticate: '' }),
]

t.test('the page has every error, with its class and the statuses that it may have', async t => {
  const documented = [...pageOf('docs/errors.md').text.matchAll(/^\| `(FST_IDW_\w+)` \| `(\w+)` \| ([\d, ]+) \|/gm)].map(([, code, name, statuses]) => ({ code, name, statuses: statuses!.split(', ').map(Number) }))

  const codes = [...new Set(each.map(({ code }) => code))]
  t.strictSame(documented, codes.map(code => {
    const errors = each.filter(error => error.code === code)
    return { code, name: errors[0]!.name, statuses: errors.map(({ statusCode }) => statusCode) }
  }))
})

t.test('no class is left out here', async t => {
  const concrete = Object.entries(errors).filter(([, value]) => value !== errors.IdentityWebError).map(([name]) => name)
  t.strictSame([...new Set(each.map(({ name }) => name))].sort(), concrete.sort())
})
