import { isPrototypeKey } from '../configuration/prototype-keys.ts'
import { webUrlFault } from '../configuration/url-rules.ts'
import { isFreeParameter, reservedParameterFault } from './query-parameters.ts'
import { hostKind, isListed, tenantOfHost } from './hosts.ts'

/** What an app section says of its authority. */
export interface AddressOptions {
  readonly instance?: string | undefined
  readonly tenantId?: string | undefined
  readonly authority?: string | undefined
  readonly domain?: string | undefined
  readonly signUpSignInPolicyId?: string | undefined
  readonly knownAuthorities?: readonly string[] | undefined
}

/** Where an app proves itself, as its section has it. */
export interface Address {
  /** Absolute URL that ends in one `/`. */
  readonly instance: string | undefined
  readonly tenantId: string | undefined
  /** The user flow or custom policy of Azure AD B2C. */
  readonly policy: string | undefined
  /** What stood in the query of `Authority`: parameters of token requests. */
  readonly query: Readonly<Record<string, string>>
  /** Whether the endpoints are those that the authority's OpenID configuration names. */
  readonly isDiscovered: boolean
}

type Fault = readonly [key: 'instance' | 'authority' | 'domain', fault: string]

/** What the path of an authority names. */
interface Path {
  /** What stands before the tenant, as in the path of a proxy; ends in `/`. */
  readonly prefix: string
  readonly tenantId: string | undefined
  readonly policy: string | undefined
}

const policyShape = /^[a-z0-9_-]+$/i
/** All policies of B2C begin like this, those of user flows and custom ones. */
const policyName = /^b2c_1a?_/i

/** Whether `Authority` is left aside, as in .NET. */
export function isAuthorityIgnored ({ authority, instance, tenantId }: AddressOptions): boolean {
  return authority !== undefined && (instance !== undefined || tenantId !== undefined)
}

/** Whether a policy means something at the authority: only B2C has them, under its own hosts or a custom domain. */
export function hasPolicies ({ instance }: Pick<Address, 'instance'>): boolean {
  return instance !== undefined && !['cloud', 'external-id'].includes(hostKind(new URL(instance).host))
}

/**
 * Where the app proves itself: from `Instance` and `TenantId`, or else from `Authority`.
 *
 * | host | tenant |
 * |---|---|
 * | `<name>.ciamlogin.com` | the one that is named, or else `<name>.onmicrosoft.com` |
 * | a host of B2C, with a policy | `Domain`, or else the one that is named, or else `<name>.onmicrosoft.com` |
 * | any other | the one that is named |
 *
 * @param options have no {@link addressFault}
 */
export function addressOf (options: AddressOptions): Address {
  const { authority, domain, signUpSignInPolicyId, knownAuthorities = [] } = options
  const { url, path } = locate(options)
  const named = path?.tenantId ?? options.tenantId
  if (url === undefined || path === undefined) return { instance: undefined, tenantId: named, policy: undefined, query: {}, isDiscovered: false }

  const instance = `${url.origin}${path.prefix}`
  const kind = hostKind(url.host)
  const policy = hasPolicies({ instance }) ? (signUpSignInPolicyId ?? path.policy)?.toLowerCase() : undefined
  const ofHost = kind === 'external-id' || policy !== undefined ? tenantOfHost(url.host) : undefined
  return {
    instance,
    tenantId: (policy === undefined ? undefined : domain) ?? named ?? ofHost,
    policy,
    query: authority === undefined || isAuthorityIgnored(options) ? {} : queryOf(url),
    isDiscovered: kind === 'other' || (kind === 'loopback' && isListed(url.host, knownAuthorities)),
  }
}

/** The key that is wrong, and why; where it says where the app proves itself, why no secret must be sent there. */
export function addressFault (options: AddressOptions): Fault | undefined {
  const { instance, authority, knownAuthorities = [] } = options
  if (instance !== undefined) {
    const fault = instanceFault(instance, knownAuthorities)
    return fault === undefined ? domainFault(options) : ['instance', fault]
  }
  if (authority === undefined || isAuthorityIgnored(options)) return undefined
  // A query is read, and no part of the address.
  const fault = hostFault(authority, authority.replace(/\?[^#]*/, ''), knownAuthorities) ?? authorityFault(new URL(authority))
  return fault === undefined ? domainFault(options) : ['authority', fault]
}

/** Why `instance` cannot be the `Instance` of an app; `undefined` when it can. */
export function instanceFault (instance: string, knownAuthorities: readonly string[]): string | undefined {
  return hostFault(instance, instance, knownAuthorities) ?? pathFault(new URL(instance))
}

/** .NET's templates have a `Domain` that nobody reads but B2C. */
function domainFault (options: AddressOptions): Fault | undefined {
  const { domain } = options
  return domain === undefined || isTenant(domain) || addressOf(options).policy === undefined ? undefined : ['domain', 'expected the id or the domain name of a tenant']
}

function locate (options: AddressOptions): { url?: URL, path?: Path } {
  const { instance, authority } = options
  if (instance !== undefined) {
    const url = new URL(instance)
    return { url, path: { prefix: prefixOf(url), tenantId: undefined, policy: undefined } }
  }
  if (authority === undefined || isAuthorityIgnored(options)) return {}
  const url = new URL(authority)
  return { url, path: pathOf(url) }
}

function segmentsOf ({ pathname }: URL): string[] {
  return pathname.split('/').filter(Boolean)
}

/** The path of an `Instance`, in which B2C may have its `tfp`. */
function prefixOf (url: URL): string {
  const segments = segmentsOf(url)
  if (isTfp(segments.at(-1))) segments.pop()
  return segments.length === 0 ? '/' : `/${segments.join('/')}/`
}

/** The path of an `Authority`: the tenant, or `tfp`, the tenant and the policy. What follows is left aside, as in .NET. */
function pathOf (url: URL): Path {
  const segments = segmentsOf(url)
  const isTrustFramework = isTfp(segments[0])
  if (isTrustFramework) segments.shift()
  const [tenantId, policy] = segments.map(segment => isVersion(segment) ? undefined : segment)
  const isPolicy = policy !== undefined && (isTrustFramework || policyName.test(policy))
  return { prefix: '/', tenantId, policy: isPolicy ? policy : undefined }
}

function isTenant (text: string): boolean {
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(text) && !text.includes('..')
}

function isTfp (segment: string | undefined): boolean {
  return segment?.toLowerCase() === 'tfp'
}

function isVersion (segment: string): boolean {
  return segment.toLowerCase() === 'v2.0'
}

/** A parameter without a value is dropped, as in .NET. */
function queryOf ({ searchParams }: URL): Record<string, string> {
  return Object.fromEntries([...searchParams].filter(([, value]) => value !== ''))
}

/** Why secrets must not be sent to the host of `text`. */
function hostFault (text: string, bare: string, knownAuthorities: readonly string[]): string | undefined {
  const fault = webUrlFault(bare)
  if (fault !== undefined) return fault
  const url = new URL(text)
  if (segmentsOf(url)[0]?.toLowerCase() === 'dstsv2') return 'dSTS is an authority of Microsoft\'s own services and is not served'
  const { host } = url
  return hostKind(host) !== 'other' || isListed(host, knownAuthorities) ? undefined : `the host ${host} is not known to be an authority; list it in KnownAuthorities if it is`
}

function pathFault (url: URL): string | undefined {
  const kind = hostKind(url.host)
  const isBare = (kind === 'b2c' ? prefixOf(url) : url.pathname.replace(/\/+$/, '/')) === '/'
  return isBare || kind === 'loopback' || kind === 'other' ? undefined : 'expected the host alone; the tenant belongs into TenantId'
}

function authorityFault (url: URL): string | undefined {
  const { tenantId, policy } = pathOf(url)
  if (isTfp(segmentsOf(url)[0]) && !hasPolicies({ instance: url.origin })) return 'tfp is a path of Azure AD B2C, which is under <name>.b2clogin.com or a custom domain'
  if (tenantId !== undefined && !isTenant(tenantId)) return 'expected the id or the domain name of a tenant as the first part of the path'
  if (policy !== undefined && !policyShape.test(policy)) return 'expected the name of a policy behind the tenant'
  const fault = queryFault([...url.searchParams.keys()])
  return fault === undefined ? undefined : `its query: ${fault}`
}

/** What holds for `ExtraQueryParameters`, of names that come in a query. */
function queryFault (names: readonly string[]): string | undefined {
  if (names.some(isPrototypeKey)) return 'a parameter of this name is not allowed'
  if (!names.every(isFreeParameter)) return reservedParameterFault
  if (new Set(names.map(name => name.toLowerCase())).size < names.length) return 'a parameter is there twice, in any letter case'
  return undefined
}
