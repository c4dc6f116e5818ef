import type { AuthenticationResult } from '@azure/msal-node'
import { Token, type TokenFacts } from '../tokens/token.ts'

/**
 * MSAL's result as a token.
 *
 * @throws Error when there is no token in it, or one that has already ended: both count as a failed acquisition
 */
export function toToken (result: AuthenticationResult | null, known: Pick<TokenFacts, 'tenantId' | 'scopes' | 'correlationId'>, now: () => number): Token {
  const { accessToken, tokenType, expiresOn, refreshOn } = result ?? {}
  // MSAL reads the system's clock.
  const onOurClock = (date: Date) => date.getTime() - Date.now() + now()
  if (!accessToken || !tokenType || !expiresOn || !(onOurClock(expiresOn) > now())) throw new Error('the answer holds no token that is still valid')

  return new Token(accessToken, { ...known, tokenType, expiresOn: onOurClock(expiresOn), refreshOn: refreshOn && onOurClock(refreshOn) })
}
