/**
 * A store that processes share, as the second level of the token cache. It holds text under keys, and need not understand either:
 * keys are hashes, values are encrypted. It may fail, and be slow: then the processes do without it.
 */
export interface TokenStore {
  get (key: string): Promise<string | null | undefined>
  /** @param ttl milliseconds after which the value is gone, a whole number */
  set (key: string, value: string, ttl: number): Promise<unknown>
  delete (key: string): Promise<unknown>
  /**
   * Sets the value unless there is one already, in one step, and gives whether it did. With it, processes that start together make
   * close to one token request; without it, each makes its own.
   *
   * @param ttl milliseconds after which the value is gone, a whole number
   */
  setIfAbsent? (key: string, value: string, ttl: number): Promise<boolean>
  /** Milliseconds until the value is gone. With it, a token ends in time also where the clocks of two machines differ. */
  ttl? (key: string): Promise<number>
}
