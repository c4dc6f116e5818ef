import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileScripts } from './compile.ts'
import type { TokenServiceFigures, TokenServiceOptions } from './servers/token-service.ts'
import type { Figures, Run, WorkerOptions } from './worker.ts'

/** The folder of the package. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** What processes that are measured are given of the environment: nothing that changes how Node runs them. */
export function plainEnvironment (): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env
  return { ...env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }
}

let scripts: string | undefined

/** A script of this folder, by its name without the ending, in a process of its own, which ends with this one. */
export class Script {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #ended: Promise<unknown>

  constructor (name: string, input: unknown = {}, execArgv: readonly string[] = []) {
    this.#name = name
    this.#child = fork(join(scripts ??= compileScripts(), `${name}.js`), [JSON.stringify(input)], { cwd: root, env: plainEnvironment(), execArgv: [...execArgv] })
    this.#ended = once(this.#child, 'exit')
  }

  /** The next message; what is sent before is asked for by `question`. */
  async answer<T> (question?: object): Promise<T> {
    const answer = once(this.#child, 'message')
    if (question !== undefined) this.#child.send(question)
    const outcome = await Promise.race([answer, this.#ended.then(() => undefined)])
    if (outcome === undefined) throw new Error(`${this.#name} has ended with ${this.#child.exitCode}`)
    return (outcome as [T])[0]
  }

  async stop (): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
  }
}

/** Where the downstream API answers with which body. */
export interface ApiUrls {
  readonly small: string
  readonly large: string
}

export async function startApi (): Promise<{ urls: ApiUrls, stop: () => Promise<void> }> {
  const script = new Script('servers/api')
  return { urls: await script.answer(), stop: () => script.stop() }
}

export interface TokenService {
  readonly origin: string
  figures (): Promise<TokenServiceFigures>
  stop (): Promise<void>
}

export async function startTokenService (options: TokenServiceOptions): Promise<TokenService> {
  const script = new Script('servers/token-service', options)
  return { origin: await script.answer(), figures: () => script.answer({}), stop: () => script.stop() }
}

/** One mode in a process of its own, which does nothing between its rounds. */
export class Worker {
  readonly #script: Script

  private constructor (script: Script) {
    this.#script = script
  }

  static async start (options: WorkerOptions, execArgv: readonly string[]): Promise<Worker> {
    const worker = new Worker(new Script('worker', options, execArgv))
    await worker.#script.answer()
    return worker
  }

  round (run: Run): Promise<Figures> {
    return this.#script.answer(run)
  }

  stop (): Promise<void> {
    return this.#script.stop()
  }
}
