import type { TokenStore } from './token-store.ts'

/** A client of node-redis, as far as it is used. */
export interface NodeRedisClient {
  get (key: string): Promise<unknown>
  set (key: string, value: string, options: { PX: number, NX?: true }): Promise<unknown>
  del (key: string): Promise<unknown>
}

/** A client of ioredis, as far as it is used. */
export interface IoredisClient {
  get (key: string): Promise<string | null>
  set (key: string, value: string, px: 'PX', ttl: number): Promise<unknown>
  set (key: string, value: string, px: 'PX', ttl: number, nx: 'NX'): Promise<unknown>
  del (key: string): Promise<unknown>
}

/**
 * A token store in Redis.
 *
 * @param client of `redis` (node-redis) or `ioredis`, connected or about to be: pools, TLS, Sentinel and Cluster are its business,
 * and closing it is the caller's. Every command has one key, so that it works with a cluster.
 * @throws TypeError when `client` is neither
 */
export function redisTokenStore (client: NodeRedisClient | IoredisClient): TokenStore {
  for (const method of ['get', 'set', 'del'] as const) {
    if (typeof (client as Partial<NodeRedisClient> | undefined)?.[method] !== 'function') throw new TypeError('redisTokenStore: expected a client of redis (node-redis) or of ioredis')
  }
  return isIoredis(client) ? overIoredis(client) : overNodeRedis(client)
}

/** ioredis lets its commands be defined by users; node-redis does not. */
function isIoredis (client: object): client is IoredisClient {
  return typeof (client as { defineCommand?: unknown }).defineCommand === 'function'
}

function overNodeRedis (client: NodeRedisClient): TokenStore {
  return {
    async get (key) {
      const value = await client.get(key)
      return typeof value === 'string' ? value : undefined
    },
    set: (key, value, ttl) => client.set(key, value, { PX: ttl }),
    delete: key => client.del(key),
    setIfAbsent: async (key, value, ttl) => await client.set(key, value, { PX: ttl, NX: true }) === 'OK',
  }
}

function overIoredis (client: IoredisClient): TokenStore {
  return {
    get: key => client.get(key),
    set: (key, value, ttl) => client.set(key, value, 'PX', ttl),
    delete: key => client.del(key),
    setIfAbsent: async (key, value, ttl) => await client.set(key, value, 'PX', ttl, 'NX') === 'OK',
  }
}
