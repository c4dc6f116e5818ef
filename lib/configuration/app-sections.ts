import { parseApp, type AppConfiguration } from './app-configuration.ts'
import { DEFAULT_APP_SECTION, type AzureAdOptions } from './app-options.ts'
import { providerFaults } from './assertion-providers.ts'
import { findSection, missingSection, type Sections } from './sections.ts'

interface Outcome {
  readonly app: AppConfiguration | undefined
  readonly faults: readonly string[]
}

/** The app sections, each of which is read once, when it is first asked for. */
export class AppSections {
  /** What is read but will not do what it says. */
  readonly warnings: string[] = []
  readonly #sections: Sections
  readonly #azureAd: string | AzureAdOptions | undefined
  readonly #assertionProviders: readonly string[] | undefined
  readonly #outcomes = new Map<string, Outcome>()

  /**
   * @param azureAd name of the default section, or the options that stand for it
   * @param assertionProviders the names that credentials can have given theirs; `undefined` when they are not known
   */
  constructor (sections: Sections, azureAd: string | AzureAdOptions | undefined, assertionProviders: readonly string[] | undefined) {
    this.#sections = sections
    this.#azureAd = azureAd
    this.#assertionProviders = assertionProviders
  }

  /** Names of top-level sections that are app sections whatever stands in them. */
  get names (): string[] {
    return typeof this.#azureAd === 'string' ? [DEFAULT_APP_SECTION, this.#azureAd] : [DEFAULT_APP_SECTION]
  }

  has (name: string): boolean {
    return this.#isInline(name) || findSection(this.#sections, name, []) !== undefined
  }

  /** The section that is meant where none is named; `undefined` when there is none. One that the options name must be there. */
  default (faults: string[]): AppConfiguration | undefined {
    const name = typeof this.#azureAd === 'string' ? this.#azureAd : DEFAULT_APP_SECTION
    if (this.#azureAd !== undefined && !this.has(name)) faults.push(missingSection('options.azureAd', name, this.#sections))
    return this.named(name, faults)
  }

  /** The section; `undefined` when there is none. What is wrong with it is added to `faults`. */
  named (name: string, faults: string[]): AppConfiguration | undefined {
    const key = name.toLowerCase()
    const outcome = this.#outcomes.get(key) ?? this.#parse(name)
    if (outcome === undefined) return undefined
    this.#outcomes.set(key, outcome)
    faults.push(...outcome.faults)
    return outcome.app
  }

  #parse (name: string): Outcome | undefined {
    const faults: string[] = []
    if (this.#isInline(name)) return this.#outcome(DEFAULT_APP_SECTION, 'options.azureAd', this.#azureAd, faults)
    const found = findSection(this.#sections, name, faults)
    return found && this.#outcome(found.where, found.where, found.value, faults)
  }

  #outcome (name: string, where: string, section: unknown, faults: string[]): Outcome {
    const app = parseApp(name, where, section, faults, this.warnings)
    if (app !== undefined) faults.push(...providerFaults(app, where, this.#assertionProviders))
    return { app, faults }
  }

  /** Options that are given in code stand for the section of the default name. */
  #isInline (name: string): boolean {
    return typeof this.#azureAd === 'object' && name.toLowerCase() === DEFAULT_APP_SECTION.toLowerCase()
  }
}
