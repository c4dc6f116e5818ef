import { TokenAcquirerFactory } from '../../dist/lib/core.js'
import { prepare } from '../../dist/lib/tokens/token-request.js'
import { msalHeaderForUser } from './modes/headers.ts'
import { msalClient } from './modes/msal.ts'
import { forAll, logger, setStage, settings } from './stage.ts'
import { assertionOf } from './tagged-token.ts'

// What one cached token weighs on the heap, in a process of its own that can collect garbage when it is told to.

export interface HeapOptions {
  readonly cache: 'user' | 'app' | 'msal-node user'
  readonly entries: number
  /** Origin of the token service. */
  readonly tokenService: string
}

const { cache, entries, tokenService } = JSON.parse(process.argv[2]!) as HeapOptions
const kept: unknown[] = []

const fillers: Readonly<Record<HeapOptions['cache'], () => (index: number) => Promise<unknown>>> = {
  user () {
    const { engine, onBehalfOf } = setStage({ config: settings(tokenService) })
    kept.push(engine)
    // Its use in a call makes one string of scheme and token.
    return async index => Buffer.from((await engine.acquire(prepare(onBehalfOf(assertionOf(`user-${index}`))))).token.authorizationHeader).length
  },
  app () {
    const factory = new TokenAcquirerFactory({ config: settings(tokenService), logger, tokenCache: { maxEntries: 100_000 } })
    kept.push(factory)
    return async index => Buffer.from(await factory.authorizationHeaderProvider.createAuthorizationHeaderForApp(`api://todo-${index}/.default`)).length
  },
  'msal-node user' () {
    const client = msalClient(tokenService)
    kept.push(client)
    return async index => Buffer.from(await msalHeaderForUser(client, assertionOf(`user-${index}`))).length
  },
}

const WARM_UP = 50
const fill = fillers[cache]()
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)
await forAll(range(0, WARM_UP), fill)
const before = await heapUsed()
await forAll(range(WARM_UP, WARM_UP + entries), fill)
process.send!(((await heapUsed()) - before) / entries)
// Nothing that was filled may be collected before here.
process.on('disconnect', () => process.exit(kept.length === 0 ? 1 : 0))

async function heapUsed (): Promise<number> {
  for (let again = 0; again < 3; again++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    gc!()
  }
  return process.memoryUsage().heapUsed
}
