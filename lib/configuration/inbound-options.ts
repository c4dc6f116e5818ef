import * as v from 'valibot'
import { isTenantId } from '../authorities/tenants.ts'
import { clientIdText, described, nonEmpty } from './value-schemas.ts'

/** Seconds. */
const LARGEST_TOLERANCE = 300
const tenantOrAny = v.pipe(v.string(), v.toLowerCase(), v.check(tenant => tenant === 'any' || isTenantId(tenant), 'expected the id of a tenant (a GUID), or any'))

/** Which callers are let in. `true` stands for no options. */
export const inboundOptions = v.pipe(v.partial(v.strictObject({
  /** `aud` of the tokens: exactly one of these. Default: `Audience` and `Audiences` of the app section, else its client id and `api://<client id>`. */
  audiences: described(v.pipe(v.array(nonEmpty), v.minLength(1, 'expected at least one')), '`aud` of the tokens: exactly one of these. Default: `Audience` and `Audiences` of the app section, or else its client id and `api://<client id>`.'),
  /** Ids of the tenants whose tokens are taken, or 'any'. Default: the tenant of the app section. */
  tenants: described(v.pipe(v.array(tenantOrAny), v.minLength(1, 'expected at least one'), v.check(tenants => tenants.length === 1 || !tenants.includes('any'), 'any stands alone')), 'Ids of the tenants whose tokens are taken, or `any`, which leaves personal accounts out. Default: the tenant of the app section.'),
  /** Client ids of the apps that may call (`azp`, `appid`). Default: any. */
  clients: described(v.pipe(v.array(clientIdText), v.minLength(1, 'expected at least one')), 'Client ids of the apps that may call (`azp`, `appid`). Default: any.'),
  /** Whether apps that cannot keep a secret may call, such as single-page and mobile ones (`azpacr` 0). Default: true. */
  publicClients: described(v.boolean(), 'Whether apps that cannot keep a secret may call, such as single-page and mobile ones (`azpacr` 0).'),
  /** Seconds by which clocks may differ; at most 300. Default: 60. */
  clockTolerance: described(v.pipe(v.number(), v.minValue(0, 'expected at least 0'), v.maxValue(LARGEST_TOLERANCE, `expected at most ${LARGEST_TOLERANCE} seconds`)), `Seconds by which clocks may differ; at most ${LARGEST_TOLERANCE}.`),
  /** Whether routes without `config.auth` need a caller too. Default: false. */
  requireByDefault: described(v.boolean(), 'Whether routes without `config.auth` need a caller too, and what matches no route.'),
})), v.metadata({ trueMeansEmpty: true, falseMeansAbsent: true }))

/** What is not given, and comes from nowhere else. */
export const inboundDefaults = Object.freeze({ publicClients: true, clockTolerance: 60, requireByDefault: false })

/** Which callers are let in. */
export type InboundOptions = Omit<v.InferInput<typeof inboundOptions>, 'tenants'> & { tenants?: 'any' | readonly string[] }
export type ParsedInboundOptions = v.InferOutput<typeof inboundOptions>
