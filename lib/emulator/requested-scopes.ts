import type { Directory, Resource } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'

/** What a request for a user's token asks for. */
export interface RequestedScopes {
  readonly resource: Resource
  /** The scopes that the token gets: those asked for, or with `/.default` all. */
  readonly scopes: readonly string[]
  /** What the answer says that the token is for, in full. */
  readonly granted: string
  /** Those of OpenID Connect. */
  readonly openId: ReadonlySet<string>
}

const openIdScopes = ['openid', 'profile', 'email', 'offline_access']

/**
 * Reads the parameter `scope` of a request for a user's token: scopes of one API, and beside them those of OpenID Connect.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/scopes-oidc
 * @throws EntraRefusal
 */
export function requestedScopes (directory: Directory, tenantId: string, text: string): RequestedScopes {
  const words = text.split(' ').filter(Boolean)
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(text)) throw new EntraRefusal(70011)
  const openId = new Set(words.filter(word => openIdScopes.includes(word)))
  const asked = words.filter(word => !openId.has(word)).map(partsOf)
  const [first, ...others] = asked.map(({ name }) => resourceOf(directory, tenantId, name))
  if (first === undefined) throw new EntraRefusal(70011, 'It names no API.')
  if (others.some(({ audience }) => audience !== first.audience)) throw new EntraRefusal(28000)

  const isDefault = asked.some(({ scope }) => scope.toLowerCase() === '.default')
  if (isDefault && asked.length > 1) throw new EntraRefusal(70011, 'With .default no other scope of the API can be asked for.')
  const unknown = asked.find(({ scope }) => !isDefault && first.scopes?.includes(scope) === false)
  if (unknown !== undefined) throw new EntraRefusal(70011, `The API has no scope '${unknown.scope}'.`)

  const scopes = isDefault ? first.defaultScopes : [...new Set(asked.map(({ scope }) => scope))]
  const { name } = asked[0]!
  return { resource: first, scopes, granted: [...scopes, ...isDefault ? ['.default'] : []].map(scope => `${name}/${scope}`).join(' '), openId }
}

/** The API and the scope of it, which a slash parts; a scope without an API is Microsoft Graph's. */
function partsOf (word: string): { name: string, scope: string } {
  const at = word.lastIndexOf('/')
  return at < 0 ? { name: 'https://graph.microsoft.com', scope: word } : { name: word.slice(0, at), scope: word.slice(at + 1) }
}

function resourceOf (directory: Directory, tenantId: string, name: string): Resource {
  const resource = directory.resource(tenantId, name)
  if (resource === undefined) throw new EntraRefusal(500011, `It was '${name}'.`)
  return resource
}
