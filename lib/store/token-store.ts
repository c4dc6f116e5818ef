/**
 * A store that processes share, as the second level of the token cache. It holds text under keys, and need not understand either:
 * keys are hashes, values are encrypted.
 */
export interface TokenStore {
  get (key: string): Promise<string | null | undefined>
  /** @param ttl milliseconds after which the value is gone */
  set (key: string, value: string, ttl: number): Promise<unknown>
  delete (key: string): Promise<unknown>
  /**
   * Sets the value unless there is one already, and gives whether it did. With it, processes that start together make one token
   * request; without it, each makes its own.
   *
   * @param ttl milliseconds after which the value is gone
   */
  setIfAbsent? (key: string, value: string, ttl: number): Promise<boolean>
}
