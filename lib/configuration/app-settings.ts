import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { parse, printParseErrorCode, visit, type ParseError } from 'jsonc-parser'
import { ConfigurationError } from '../errors.ts'
import { findEntry, isPrototypeKey, isSection } from './own-entries.ts'
import { isFlat, setFlat } from './sections.ts'

type Settings = Record<string, unknown>

export interface LoadAppSettingsOptions {
  /** The file, or the folder that holds `appsettings.json`. Default: the working directory. */
  path?: string
  /** Names the second file, `appsettings.<environment>.json`. Default: `NODE_ENV`. */
  environment?: string
  /** Default: `process.env`. */
  env?: Readonly<Record<string, string | undefined>>
}

/**
 * Reads settings as .NET does: `appsettings.json` (comments allowed), then `appsettings.<environment>.json` in any letter case,
 * then environment variables such as `AzureAd__ClientCredentials__0__ClientSecret`; what comes later wins.
 *
 * @throws ConfigurationError when a file is missing or broken
 */
export function loadAppSettings ({ path = process.cwd(), env = process.env, environment = env['NODE_ENV'] }: LoadAppSettingsOptions = {}): Settings {
  const faults: string[] = []
  const file = existsSync(path) && statSync(path).isDirectory() ? resolve(path, 'appsettings.json') : resolve(path)
  if (!existsSync(file)) throw new ConfigurationError([`${file}: there is no such file; create it, or set path to the file or its folder`])

  let settings = readSettings(file, faults)
  const second = environment ? environmentFile(file, environment) : undefined
  if (second !== undefined) settings = merge(settings, readSettings(second, faults))
  for (const [key, value] of Object.entries(env)) {
    if (value !== undefined && isFlat(key)) setFlat(settings, key, value, faults)
  }
  if (faults.length > 0) throw new ConfigurationError(faults)
  return settings
}

function environmentFile (file: string, environment: string): string | undefined {
  const wanted = `${basename(file, extname(file))}.${environment}${extname(file)}`.toLowerCase()
  const found = readdirSync(dirname(file)).find(name => name.toLowerCase() === wanted)
  return found === undefined ? undefined : join(dirname(file), found)
}

function readSettings (file: string, faults: string[]): Settings {
  const text = readFileSync(file, 'utf8').replace(/^\ufeff/, '')
  const errors: ParseError[] = []
  const settings: unknown = parse(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error !== undefined) {
    const lines = text.slice(0, error.offset).split('\n')
    faults.push(`${file}: not JSON at line ${lines.length}, column ${lines.at(-1)!.length + 1} (${printParseErrorCode(error.error)})`)
    return {}
  }
  if (!isSection(settings)) {
    faults.push(`${file}: expected an object`)
    return {}
  }
  // The parsed object would not show them: they would be its prototype.
  visit(text, {
    onObjectProperty (key, _offset, _length, line) {
      if (isPrototypeKey(key)) faults.push(`${file}: the key ${key} in line ${line + 1} is not allowed`)
    }
  })
  return settings
}

/** `over` merged into `base` per key, in any letter case; lists merge by index, as in .NET. */
function merge (base: unknown, over: unknown): Settings {
  const result = (Array.isArray(base) ? [...base as unknown[]] : { ...base as Settings }) as Settings
  for (const [key, value] of Object.entries(over as Settings)) {
    const [spelling, existing] = findEntry(result, key) ?? [key, undefined]
    const both = typeof existing === 'object' && existing !== null && typeof value === 'object' && value !== null
    result[spelling] = both ? merge(existing, value) : value
  }
  return result
}
