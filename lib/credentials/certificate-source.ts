import type { Certificate } from './certificate.ts'

/** Where a certificate comes from. */
export interface CertificateSource {
  /**
   * @param signal ends it: the deadline, or the closing of the application
   * @throws Error whose message says, with nothing secret in it, why there is none
   */
  load (signal: AbortSignal): Promise<Certificate>
  /** Whether it is on this machine, so that it can be loaded when the application starts. */
  readonly isLocal: boolean
  /** How a newer one is noticed; `undefined` where there cannot be one. */
  readonly watch: CertificateWatch | undefined
}

/** How a newer certificate is noticed. */
export interface CertificateWatch {
  /** Milliseconds between two looks. */
  readonly interval: number
  /** Whether acquisitions go on with the one at hand while the newer one is loaded. */
  readonly inBackground: boolean
  /** Whether it is worth loading again. */
  hasChanged (): Promise<boolean>
}
