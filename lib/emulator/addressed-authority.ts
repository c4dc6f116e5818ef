const prefix = '/.authority/'

/** The path at the emulator for a path at another authority, whose host it keeps. */
export function pathOfAuthority (host: string, path: string): string {
  return `${prefix}${host}${path}`
}

/** What {@link pathOfAuthority} put together, taken apart; `host` is `undefined` for a path of the emulator itself. */
export function addressedAuthority (path: string): { readonly host: string | undefined, readonly path: string } {
  if (!path.startsWith(prefix)) return { host: undefined, path }
  const end = path.indexOf('/', prefix.length)
  return end < 0 ? { host: undefined, path } : { host: path.slice(prefix.length, end), path: path.slice(end) }
}
