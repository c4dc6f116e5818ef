import * as v from 'valibot'
import { parse } from './directory.ts'
import { Refusal } from './refusal.ts'
import type { EmulatorEndpoint, RecordedRequest } from './request-log.ts'

const milliseconds = v.pipe(v.number(), v.minValue(0, 'expected at least 0'), v.maxValue(2 ** 31 - 1, 'expected at most 2,147,483,647'))

const faultSchema = v.pipe(v.strictObject({
  /** Where it happens. Default: at the token and managed identity endpoints. */
  endpoint: v.optional(v.picklist(['token', 'managed-identity', 'discovery', 'keys', 'key-vault'], 'expected token, managed-identity, discovery, keys or key-vault')),
  /** HTTP status of the answer. Default: 200 with a `body`, 400 with an `error` or `errorCodes`, else 503. */
  status: v.optional(v.pipe(v.number(), v.integer('expected a status'), v.minValue(200, 'expected a status from 200 on'), v.maxValue(599, 'expected a status up to 599'))),
  /** `Retry-After` of the answer: seconds, a date, or any text. */
  retryAfter: v.optional(v.union([v.number(), v.date(), v.string()], 'expected seconds, a Date, or text')),
  /** Milliseconds to wait first; without anything else, the answer is the normal one. */
  delay: v.optional(milliseconds),
  /** Never answers. */
  hang: v.optional(v.boolean()),
  /** Breaks the connection. */
  reset: v.optional(v.boolean()),
  /** Body of the answer, as it is. Default: an error in the shape of the endpoint. */
  body: v.optional(v.string()),
  /** Media type of `body`. Default: 'application/json'. */
  contentType: v.optional(v.string()),
  /** OAuth's name of the error. Default: 'temporarily_unavailable' with status 429 and 5xx, else 'invalid_request'. */
  error: v.optional(v.string()),
  /** AADSTS numbers of the error. Default: none. */
  errorCodes: v.optional(v.array(v.number())),
  /** How many requests fail. Default: 1. */
  times: v.optional(v.pipe(v.number(), v.minValue(1, 'expected at least 1'))),
  /** Which requests fail. Default: all. */
  when: v.optional(v.custom<(request: RecordedRequest) => boolean>(value => typeof value === 'function', 'expected a function')),
}), v.check(isSomething, 'expected what happens: status, retryAfter, delay, hang, reset, body, error or errorCodes'))

/** A way in which the next requests fail. */
export type Fault = v.InferInput<typeof faultSchema>

/** The faults that wait for their requests. */
export class Faults {
  readonly #waiting: { readonly fault: Fault, left: number }[] = []

  /**
   * @returns withdraws the fault
   * @throws TypeError when an argument is not right
   */
  add (fault: Fault): () => void {
    const entry = { fault: parse(faultSchema, fault, 'fail'), left: fault.times ?? 1 }
    this.#waiting.push(entry)
    return () => this.#remove(entry)
  }

  /** The fault that this request meets: the first that waits for it. */
  take (request: RecordedRequest): Fault | undefined {
    const entry = this.#waiting.find(({ fault }) => concerns(fault, request.endpoint) && (fault.when?.(request) ?? true))
    if (entry === undefined) return undefined
    if (--entry.left <= 0) this.#remove(entry)
    return entry.fault
  }

  #remove (entry: { readonly fault: Fault }): void {
    const at = this.#waiting.findIndex(waiting => waiting === entry)
    if (at >= 0) this.#waiting.splice(at, 1)
  }
}

/** The error that is answered, where the fault is one; `undefined` where the answer is the normal one. */
export function refusalOf ({ status, retryAfter, error, errorCodes = [] }: Fault): Refusal | undefined {
  const isNamed = error !== undefined || errorCodes.length > 0
  if (!isNamed && status === undefined && retryAfter === undefined) return undefined

  const answered = status ?? (isNamed ? 400 : 503)
  const isPassing = answered === 429 || answered >= 500
  return new Refusal(answered, error ?? (isPassing ? 'temporarily_unavailable' : 'invalid_request'), 'The emulator was told to fail.', errorCodes)
}

function isSomething ({ status, retryAfter, delay, hang, reset, body, error, errorCodes }: Record<string, unknown>): boolean {
  return [status, retryAfter, delay, hang, reset, body, error, errorCodes].some(value => value !== undefined && value !== false)
}

function concerns ({ endpoint }: Fault, requested: EmulatorEndpoint): boolean {
  return endpoint === undefined ? requested === 'token' || requested === 'managed-identity' : endpoint === requested
}
