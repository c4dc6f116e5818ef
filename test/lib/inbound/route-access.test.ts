import t from 'tap'
import type { Caller } from '../../../lib/inbound/caller.ts'
import { parseRouteAccess, RouteAccess } from '../../../lib/inbound/route-access.ts'

const user = (scopes: string[], roles: string[] = []): Pick<Caller, 'kind' | 'scopes' | 'roles'> => ({ kind: 'user', scopes, roles })
const app = (roles: string[], scopes: string[] = []): Pick<Caller, 'kind' | 'scopes' | 'roles'> => ({ kind: 'app', scopes, roles })
const callers = { none: user([]), reader: user(['Read']), other: user(['Other']), adminUser: user(['Other'], ['Admin']), job: app(['Admin']), otherJob: app(['Else']), posing: app(['Else'], ['Read']) }

/** The callers who are let in. */
function letIn (auth: object): string {
  const access = parseRouteAccess(auth, 'route')
  return Object.entries(callers).filter(([, caller]) => {
    try {
      access.require(caller)
      return true
    } catch (error) {
      if ((error as { code: string }).code !== 'FST_IDW_FORBIDDEN') throw error
      return false
    }
  }).map(([name]) => name).join()
}

t.test('users come in by a scope, apps by a role, and neither by what the other has', async t => {
  const everybody = Object.keys(callers).join()
  const table: [object, string][] = [
    [{}, everybody],
    [{ allow: 'any' }, everybody],
    [{ allow: 'user' }, 'none,reader,other,adminUser'],
    [{ allow: 'app' }, 'job,otherJob,posing'],
    [{ scopes: ['Read'] }, 'reader'],
    [{ scopes: ['Read'], allow: 'user' }, 'reader'],
    [{ scopes: ['Read', 'Other'] }, 'reader,other,adminUser'],
    [{ scopes: ['Read'], allow: 'any' }, 'reader'],
    [{ roles: ['Admin'] }, 'job'],
    [{ roles: ['Admin'], allow: 'app' }, 'job'],
    [{ roles: ['Admin'], allow: 'any' }, 'adminUser,job'],
    [{ roles: ['Admin', 'Else'] }, 'job,otherJob,posing'],
    [{ scopes: ['Read'], roles: ['Admin'] }, 'reader,job'],
    [{ scopes: ['Read'], roles: ['Admin'], allow: 'any' }, 'reader,adminUser,job'],
    [{ scopes: ['Read'], roles: ['Admin'], allow: 'user' }, 'reader'],
    [{ scopes: ['Read'], roles: ['Admin'], allow: 'app' }, 'job'],
    [{ scopes: ['Admin'] }, ''],
    [{ roles: ['Read'] }, ''],
  ]
  for (const [auth, expected] of table) t.equal(letIn(auth), expected, JSON.stringify(auth))
})

t.test('who is not let in is told why, and users which scopes would do', async t => {
  const refusal = (auth: object, caller: Pick<Caller, 'kind' | 'scopes' | 'roles'>) => {
    try {
      parseRouteAccess(auth, 'route').require(caller)
    } catch (error) {
      return (error as { wwwAuthenticate: string }).wwwAuthenticate
    }
    return undefined
  }
  const said = (why: string, scope = '') => `Bearer error="insufficient_scope", error_description="${why}"${scope}`
  t.equal(refusal({ scopes: ['Read', 'Write'] }, callers.other), said('the token lacks the scope', ', scope="Read Write"'))
  t.equal(refusal({ scopes: ['Read'] }, callers.job), said('the route is for users, and the token is an app\'s', ', scope="Read"'))
  t.equal(refusal({ roles: ['Admin'] }, callers.reader), said('the route is for apps, and the token is a user\'s'))
  t.equal(refusal({ roles: ['Admin'] }, callers.otherJob), said('the token lacks the app role'))
  t.equal(refusal({ allow: 'app' }, callers.reader), said('the route is for apps, and the token is a user\'s'))
  t.equal(refusal({ allow: 'user' }, callers.job), said('the route is for users, and the token is an app\'s'))
})

t.test('many roles and scopes are looked through in no time', async t => {
  const roles = Array.from({ length: 5_000 }, (_, index) => `role-${index}`)
  const start = performance.now()
  t.throws(() => new RouteAccess({ roles: ['Admin'] }).require(app(roles)), { code: 'FST_IDW_FORBIDDEN' })
  t.ok(performance.now() - start < 100)
})

t.test('what is read shares nothing with what was given', async t => {
  const auth = { scopes: ['Read'], roles: ['Admin'] }
  const access = parseRouteAccess(auth, 'route')
  auth.scopes.push('Other')
  auth.roles.push('Else')
  t.match(access, { scopes: ['Read'], roles: ['Admin'] })
  t.equal(access.scopes.length + access.roles.length, 2)
})
