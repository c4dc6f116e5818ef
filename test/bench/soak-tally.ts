import { ChallengeUserError, TokenAcquisitionError } from '../../dist/lib/errors.js'
import type { AskProvider } from '../../dist/lib/tokens/token-engine.js'
import { tokenKey } from '../../dist/lib/tokens/token-request.js'
import type { Target } from './soak-targets.ts'
import { tagOf, type Tag } from './tagged-token.ts'

const MAX_FAULTS = 20

/** Counts calls, and judges each: whether its token was the right one, and whether it was right to fail. */
export class Tally {
  readonly counts = { calls: 0, wrongTokens: 0, failedWithToken: 0, failedWithout: 0, endedMeanwhile: 0, strangeErrors: 0, unhandledRejections: 0 }
  /** The first faults, in words. */
  readonly faults: string[] = []
  /** Milliseconds that each call took. */
  readonly waits: number[] = []
  /** When the newest token that was acquired for a key ends: it takes the place of the one before, even of one that would have lived longer. */
  readonly #heldUntil = new Map<string, number>()

  constructor () {
    process.on('unhandledRejection', reason => this.#fault('unhandledRejections', `unhandled rejection: ${String(reason)}`))
  }

  /** What the engine asks, with a note of every token that it is given: from then on, calls for the same must not fail. */
  around (ask: AskProvider): AskProvider {
    return async (request, signal) => {
      const token = await ask(request, signal)
      const key = tokenKey(request)
      this.#heldUntil.set(key, token.expiresOn)
      return token
    }
  }

  async call ({ key, tag, header }: Target): Promise<void> {
    this.counts.calls++
    const start = performance.now()
    const wasHeld = this.#isHeld(key)
    try {
      const got = tagOf((await header()).slice('Bearer '.length))
      if (!isSame(got, tag)) this.#fault('wrongTokens', `wrong token: ${JSON.stringify(got)} for ${JSON.stringify(tag)}`)
    } catch (error) {
      if (!(error instanceof TokenAcquisitionError || error instanceof ChallengeUserError)) this.#fault('strangeErrors', `strange error: ${String(error)}`)
      if (this.#isHeld(key)) this.#fault('failedWithToken', `failed while there was a token: ${JSON.stringify(tag)}: ${String(error)}`)
      else if (wasHeld) this.counts.endedMeanwhile++
      else this.counts.failedWithout++
    } finally {
      this.waits.push(performance.now() - start)
    }
  }

  #isHeld (key: string): boolean {
    return (this.#heldUntil.get(key) ?? 0) > Date.now()
  }

  #fault (kind: keyof Tally['counts'], line: string): void {
    this.counts[kind]++
    if (this.faults.length < MAX_FAULTS) this.faults.push(line)
  }
}

function isSame (a: Tag, b: Tag): boolean {
  return (['flow', 'tenantId', 'clientId', 'scope', 'user'] as const).every(name => a[name] === b[name])
}
