import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { parse, printParseErrorCode, visit, type ParseError } from 'jsonc-parser'
import { ConfigurationError } from '../errors.ts'
import { isFlat, setFlat } from './flat-keys.ts'
import { findEntry, isSection } from './own-entries.ts'
import { isPrototypeKey } from './prototype-keys.ts'

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
  if (typeof path !== 'string') throw new ConfigurationError(['path: expected the path of a file or folder'])
  const faults: string[] = []
  const file = isFolder(path) ? resolve(path, 'appsettings.json') : resolve(path)
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

function isFolder (path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** `appsettings.<environment>.json` beside `file`: as it is spelt, or else in any letter case. */
function environmentFile (file: string, environment: string): string | undefined {
  const wanted = `${basename(file, extname(file))}.${environment}${extname(file)}`
  const names = readdirSync(dirname(file))
  const found = names.find(name => name === wanted) ?? names.find(name => name.toLowerCase() === wanted.toLowerCase())
  return found === undefined ? undefined : join(dirname(file), found)
}

function readSettings (file: string, faults: string[]): Settings {
  const text = readText(file, faults)
  if (text === undefined) return {}
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

function readText (file: string, faults: string[]): string | undefined {
  try {
    return readFileSync(file, 'utf8').replace(/^\ufeff/, '')
  } catch (error) {
    faults.push(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`)
    return undefined
  }
}

/** `over` merged into `base` per key, in any letter case; lists merge by index, as in .NET. */
function merge (base: Settings, over: Settings): Settings {
  const isList = Array.isArray(base) && Object.keys(over).every(key => /^\d+$/.test(key))
  const result = (isList ? [...base as unknown[]] : { ...base }) as Settings
  for (const [key, value] of Object.entries(over)) {
    const [spelling, existing] = findEntry(result, key) ?? [key, undefined]
    result[spelling] = isTree(existing) && isTree(value) ? merge(existing, value) : value
  }
  return result
}

function isTree (value: unknown): value is Settings {
  return typeof value === 'object' && value !== null
}
