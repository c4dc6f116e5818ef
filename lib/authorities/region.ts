import { regionalHost } from './hosts.ts'

/** What stands for the region that the process runs in, as regions are kept. */
export const AUTO_DETECT = 'tryautodetect'

/** A region as it is in the names of hosts: `West US 2` is `westus2`. */
export function normalRegion (text: string): string {
  return text.replaceAll(' ', '').toLowerCase()
}

/** Whether text from outside can be a region. */
export function isRegion (text: string): boolean {
  return /^[a-z0-9]{1,50}$/.test(text)
}

/** Whether there are regional endpoints for the authority. */
export function hasRegions (instance: string): boolean {
  return regionalHost(new URL(instance).host, 'x') !== undefined
}

/**
 * The same endpoint in a region.
 *
 * @param endpoint of an authority that {@link hasRegions}
 */
export function regionalEndpoint (endpoint: string, region: string): string {
  const url = new URL(endpoint)
  url.host = regionalHost(url.host, region)!
  return url.href
}
