import { ConfigurationError } from '../errors.ts'
import type { TokenStore } from './token-store.ts'

/** A client of node-redis, as far as it is used. */
export interface NodeRedisClient {
  get (key: string): Promise<unknown>
  set (key: string, value: string, options: { PX: number, NX?: true }): Promise<unknown>
  del (key: string): Promise<unknown>
  pTTL? (key: string): Promise<unknown>
}

/** A client of ioredis, as far as it is used. */
export interface IoredisClient {
  get (key: string): Promise<string | null>
  set (key: string, value: string, px: 'PX', ttl: number): Promise<unknown>
  set (key: string, value: string, px: 'PX', ttl: number, nx: 'NX'): Promise<unknown>
  del (key: string): Promise<unknown>
  pttl? (key: string): Promise<number>
}

/**
 * A token store in Redis.
 *
 * @param client of `redis` (node-redis) or `ioredis`, connected or about to be: pools, TLS, Sentinel and Cluster are its business,
 * and closing it is the caller's. Every command has one key, so that it works with a cluster.
 * @throws ConfigurationError when `client` is neither
 */
export function redisTokenStore (client: NodeRedisClient | IoredisClient): TokenStore {
  if (!has(client, 'get', 'set', 'del')) throw new ConfigurationError(['redisTokenStore: expected a client of redis (node-redis) or of ioredis'])
  return isIoredis(client) ? overIoredis(client) : overNodeRedis(client)
}

function has (client: unknown, ...methods: string[]): boolean {
  return methods.every(method => typeof (client as Record<string, unknown> | null | undefined)?.[method] === 'function')
}

/** ioredis lets its commands be defined by users; node-redis does not. */
function isIoredis (client: object): client is IoredisClient {
  return has(client, 'defineCommand')
}

function overNodeRedis (client: NodeRedisClient): TokenStore {
  return {
    // What is no text, as with a type mapping to buffers, is told as an entry that cannot be read.
    get: key => client.get(key) as Promise<string | null>,
    set: (key, value, ttl) => client.set(key, value, { PX: ttl }),
    delete: key => client.del(key),
    setIfAbsent: async (key, value, ttl) => wasSet(await client.set(key, value, { PX: ttl, NX: true })),
    ...client.pTTL !== undefined && { ttl: async (key: string) => Number(await client.pTTL!(key)) },
  }
}

function overIoredis (client: IoredisClient): TokenStore {
  return {
    get: key => client.get(key),
    set: (key, value, ttl) => client.set(key, value, 'PX', ttl),
    delete: key => client.del(key),
    setIfAbsent: async (key, value, ttl) => wasSet(await client.set(key, value, 'PX', ttl, 'NX')),
    ...client.pttl !== undefined && { ttl: (key: string) => client.pttl!(key) },
  }
}

/** Redis answers nil when it did not. */
function wasSet (reply: unknown): boolean {
  return reply !== null
}
