import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { readCertificate, type Certificate } from './certificate.ts'
import type { CertificateSource, CertificateWatch } from './certificate-source.ts'

const LARGEST = 1024 * 1024
const nowhere = 'there is no such file: correct CertificateDiskPath, which is relative to the working directory'
const forbidden = 'this process may not read the file: let it'
const reasons: Readonly<Record<string, string>> = {
  ENOENT: nowhere,
  ENOTDIR: nowhere,
  EACCES: forbidden,
  EPERM: forbidden,
}

/** What changes when a file is replaced or written to. */
interface FileState {
  readonly mtimeMs: number
  readonly size: number
  readonly ino: number
}

/** A certificate in a file: PFX, or PEM with the private key. */
export class CertificateFile implements CertificateSource {
  readonly isLocal = true
  readonly watch: CertificateWatch = { interval: 1000, inBackground: false, hasChanged: () => this.#hasChanged() }
  readonly #path: string
  readonly #password: string | undefined
  #loaded: FileState | undefined

  /** @param path absolute, or relative to the working directory */
  constructor (path: string, password: string | undefined) {
    this.#path = resolve(path)
    this.#password = password
  }

  async load (): Promise<Certificate> {
    try {
      // Taken before the file is read: what is written meanwhile is noticed with the next look.
      const state = await stat(this.#path)
      if (!state.isFile()) throw new Error('it is no file, but a folder or a device: give the path of the certificate itself')
      if (state.size > LARGEST) throw new Error('it has more than 1 MiB, and is no certificate')
      const certificate = await readCertificate(await readFile(this.#path), this.#password)
      this.#loaded = state
      return certificate
    } catch (error) {
      // The message may be answered to anybody: where the file is stands in the cause, for the log.
      throw new Error(reasonOf(error), { cause: new Error(`the file is ${this.#path}`) })
    }
  }

  /** Whether it is another file than the one that was loaded; one that is gone is loaded again too, which tells why it cannot be. */
  async #hasChanged (): Promise<boolean> {
    const now = await stat(this.#path).catch(() => undefined)
    return now === undefined || now.mtimeMs !== this.#loaded?.mtimeMs || now.size !== this.#loaded.size || now.ino !== this.#loaded.ino
  }
}

function reasonOf (error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined ? message : reasons[code] ?? `the file cannot be read (${code})`
}
