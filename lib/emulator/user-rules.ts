import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { guidText as guid } from '../configuration/value-schemas.ts'
import type { RequestedClaims } from './claims-parameter.ts'
import { isNameOf, parse, same, type Resource } from './directory.ts'
import { EntraRefusal } from './entra-error.ts'
import type { IssueOrder } from './issue-order.ts'
import type { SignedInUser } from './user-assertion.ts'

const resource = v.optional(v.string())
const objectId = v.optional(guid)

const consentRule = v.strictObject({
  /** The client that lacks consent. */
  clientId: guid,
  /** The API that it lacks consent for: client id or App ID URI. Default: all. */
  resource,
  /** The user whose consent it lacks. Default: all. */
  objectId,
})

const mfaRule = v.strictObject({
  /** The API that it is needed for: client id or App ID URI. Default: all. */
  resource,
  /** The user who needs it. Default: all. */
  objectId,
})

const acrsRule = v.strictObject({
  /** The API that it is needed for: client id or App ID URI. */
  resource: v.string(),
  /** The authentication contexts that the sign-in has to meet, such as 'c1'. */
  acrs: v.pipe(v.union([v.string(), v.array(v.string())], 'expected text, or a list of texts'), v.transform(acrs => [acrs].flat())),
})

const userRule = v.strictObject({ objectId: guid })

/** What `requireConsent` takes. */
export type ConsentRule = v.InferInput<typeof consentRule>
/** What `requireMfa` takes. */
export type MfaRule = v.InferInput<typeof mfaRule>
/** What `requireAcrs` takes. */
export type AcrsRule = v.InferInput<typeof acrsRule>

/** A request for a user's token, whose user and client are proved. */
export interface JudgedRequest {
  readonly user: SignedInUser
  readonly clientId: string
  readonly resource: Resource
  readonly claims: RequestedClaims
}

type Rule = (request: JudgedRequest) => void

/** The rules that tests switch on: what a user lacks, or has lost. Each gives a function that withdraws it. */
export class UserRules {
  readonly #order: IssueOrder
  /** Of users as such. They come first: who is not let in is not asked for more. */
  readonly #accounts = new Set<Rule>()
  readonly #policies = new Set<Rule>()

  constructor (order: IssueOrder) {
    this.#order = order
  }

  /** @throws EntraRefusal */
  check (request: JudgedRequest): void {
    for (const rule of [...this.#accounts, ...this.#policies]) rule(request)
    const missing = request.claims.acrs.find(value => !request.user.acrs.includes(value))
    if (missing !== undefined) throw lackingAcrs(missing)
  }

  /** @throws TypeError when an argument is not right */
  requireConsent (options: ConsentRule): () => void {
    const { clientId, resource, objectId } = parse(consentRule, options, 'requireConsent')
    return add(this.#policies, request => {
      if (request.clientId === clientId && concerns(request, resource, objectId)) throw new EntraRefusal(65001, `The app was '${clientId}'.`)
    })
  }

  /** @throws TypeError when an argument is not right */
  requireMfa (options: MfaRule): () => void {
    const { resource, objectId } = parse(mfaRule, options, 'requireMfa')
    const policy = randomUUID()
    const claims = JSON.stringify({ access_token: { capolids: { essential: true, values: [policy] } } })
    return add(this.#policies, request => {
      const isAsked = concerns(request, resource, objectId) || request.claims.capolids.includes(policy)
      if (isAsked && !request.user.amr.includes('mfa')) throw new EntraRefusal(50076, '', { claims })
    })
  }

  /** @throws TypeError when an argument is not right */
  requireAcrs (options: AcrsRule): () => void {
    const { resource, acrs } = parse(acrsRule, options, 'requireAcrs')
    return add(this.#policies, request => {
      const missing = acrs.find(value => !request.user.acrs.includes(value))
      if (missing !== undefined && concerns(request, resource, undefined)) throw lackingAcrs(missing)
    })
  }

  /** @throws TypeError when the argument is not right */
  revokeUser (objectId: string): () => void {
    const { objectId: revoked } = parse(userRule, { objectId }, 'revokeUser')
    const { last } = this.#order
    return add(this.#accounts, ({ user }) => {
      if (same(user.objectId, revoked) && user.issued <= last) throw new EntraRefusal(50173)
    })
  }

  /** @throws TypeError when the argument is not right */
  disableUser (objectId: string): () => void {
    const { objectId: disabled } = parse(userRule, { objectId }, 'disableUser')
    return add(this.#accounts, ({ user }) => {
      if (same(user.objectId, disabled)) throw new EntraRefusal(50057)
    })
  }
}

function add (rules: Set<Rule>, rule: Rule): () => void {
  rules.add(rule)
  return () => { rules.delete(rule) }
}

function concerns ({ resource, user }: JudgedRequest, name: string | undefined, objectId: string | undefined): boolean {
  return (name === undefined || resource.names.some(known => isNameOf(known, name))) && (objectId === undefined || same(user.objectId, objectId))
}

function lackingAcrs (value: string): EntraRefusal {
  return new EntraRefusal(50158, `It was '${value}'.`, { claims: JSON.stringify({ access_token: { acrs: { essential: true, value } } }) })
}
