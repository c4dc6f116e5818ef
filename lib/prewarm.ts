import type { ApiConfiguration, Configuration } from './configuration/configuration.ts'
import type { RouteApi } from './downstream/route-apis.ts'
import { TokenAcquisitionError } from './errors.ts'
import type { Logger } from './logger.ts'
import { pause, type Clock } from './tokens/clock.ts'
import { identityOf, type AppIdentity } from './tokens/identity.ts'
import type { ConfiguredTokenAcquirer } from './tokens/token-acquirer.ts'

/** A token that is acquired before the application is ready. */
interface Wanted {
  readonly api: ApiConfiguration
  readonly identity: AppIdentity
}

export interface PrewarmOptions {
  /** The APIs whose tokens are wanted: those that are called as the app, or those named. */
  readonly apis: true | readonly string[]
  /** What a token that cannot be acquired does. */
  readonly failure: 'fail' | 'warn'
  /** Milliseconds that all of it may take. */
  readonly limit: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Milliseconds between two tries: a managed identity endpoint may come up after the application. */
const AGAIN = 500

/**
 * Acquires the tokens of the app, so that the first calls need not wait. What may succeed later is tried again within the limit.
 *
 * @throws TokenAcquisitionError that names every token that could not be acquired
 */
export async function prewarm (configuration: Configuration, routeApis: readonly RouteApi[], acquirer: ConfiguredTokenAcquirer, options: PrewarmOptions): Promise<void> {
  const { failure, limit, clock, logger } = options
  const controller = new AbortController()
  const cancel = clock.after(limit, () => controller.abort(new Error(`there was no token within ${limit} ms`)))
  const failures: { wanted: Wanted, error: unknown }[] = []
  try {
    await Promise.all(wantedTokens(configuration, routeApis, options.apis).map(async wanted => {
      const error = await failureOf(wanted, acquirer, clock, controller.signal)
      if (error !== undefined) failures.push({ wanted, error })
    }))
  } finally {
    cancel()
  }
  if (failures.length === 0) return

  const lines = failures.map(({ wanted: { api, identity }, error }) => `- ${api.name} as ${identity}: ${(error as Error).message}`)
  if (failure === 'fail') {
    const causes = failures.map(({ error }) => error)
    throw new TokenAcquisitionError(`Not ready: these tokens could not be acquired ahead; set prewarmFailure to "warn" to start without them:\n${lines.join('\n')}`,
      { retryable: causes.every(error => error instanceof TokenAcquisitionError && error.retryable) }, { cause: causes.length === 1 ? causes[0] : new AggregateError(causes) })
  }
  for (const { wanted: { api, identity }, error } of failures) logger.warn({ api: api.name, identity, err: error }, 'token could not be acquired ahead: the first call will ask for it')
}

/** As whom each API is called as the app, by its section and by the routes. */
function wantedTokens ({ apis }: Configuration, routeApis: readonly RouteApi[], names: PrewarmOptions['apis']): Wanted[] {
  const isNamed = ({ name }: ApiConfiguration) => names === true || names.includes(name)
  const ofSections = [...apis.values()]
    .filter(api => api.scopes.length > 0 && (names !== true || api.requestAppToken || api.acquireTokenOptions.managedIdentity !== undefined))
    .map(api => ({ api, identity: identityOf('app', api, api.name) as AppIdentity }))
  const ofRoutes = routeApis.flatMap(({ api, identity }) => identity === undefined || identity === 'user' ? [] : [{ api, identity }])
  return [...ofSections, ...ofRoutes].filter(({ api }) => isNamed(api))
}

/** Why there is no token; `undefined` when there is one. */
async function failureOf ({ api, identity }: Wanted, acquirer: ConfiguredTokenAcquirer, clock: Clock, signal: AbortSignal): Promise<unknown> {
  let last: unknown
  for (;;) {
    try {
      await acquirer.acquire(acquirer.prepare(identity, api.scopes, api.acquireTokenOptions, api.name), { signal })
      return undefined
    } catch (error) {
      if (signal.aborted) return last ?? error
      last = error
      if (!(error instanceof TokenAcquisitionError) || !error.retryable) return error
    }
    // The next try tells when the time is up.
    await pause(clock, AGAIN, signal).catch(() => {})
  }
}
