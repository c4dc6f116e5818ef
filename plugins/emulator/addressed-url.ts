import type { FastifyRequest } from 'fastify'
import { addressedAuthority } from '../../lib/emulator/addressed-authority.ts'

/** The URL of a request as the client addressed it, without the query: at another authority, where the emulator's dispatcher carried it here. */
export function addressedUrl ({ originalUrl, url, protocol, host: ownHost }: FastifyRequest): URL {
  const { host } = addressedAuthority(originalUrl)
  return new URL(host === undefined ? `${protocol}://${ownHost}${url.split('?', 1)[0]}` : `https://${host}${url.split('?', 1)[0]}`)
}
