import { channel } from 'node:diagnostics_channel'
import type { TokenSource } from './token.ts'
import type { TokenDescription } from './token-request.ts'

/** What the messages on the channels say; never the token itself. */
export interface TokenEvent extends TokenDescription {
  /** Where an acquired token came from. */
  readonly source?: TokenSource
  /** Why an acquisition failed. */
  readonly error?: unknown
}

/** Names of the channels of `node:diagnostics_channel` on which the engine tells what it does. */
export const tokenChannels = Object.freeze({
  acquisitionStart: 'fastify-identity-web:acquisition:start',
  acquisitionEnd: 'fastify-identity-web:acquisition:end',
  hit: 'fastify-identity-web:hit',
  renewal: 'fastify-identity-web:renewal',
  failure: 'fastify-identity-web:failure',
})

const channels = {
  acquisitionStart: channel(tokenChannels.acquisitionStart),
  acquisitionEnd: channel(tokenChannels.acquisitionEnd),
  hit: channel(tokenChannels.hit),
  renewal: channel(tokenChannels.renewal),
  failure: channel(tokenChannels.failure),
}

/** Tells those who listen; costs next to nothing when nobody does. */
export function tell (name: keyof typeof channels, description: TokenDescription, more?: Pick<TokenEvent, 'source' | 'error'>): void {
  const channel = channels[name]
  if (channel.hasSubscribers) channel.publish({ ...description, ...more } satisfies TokenEvent)
}
